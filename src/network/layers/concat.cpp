#include "../layer_table.hpp"
#include "options.hpp"

#include <temblor/network/double_double.hpp>

namespace temblor {
namespace {

/// Inputs one behind the other along a dimension.
class Concat final : public Layer, public DoubleDoubleLayer {
 public:
  explicit Concat(const LayerOptions& options) : axis_(whole(options, "axis")) {}
  std::string_view kind() const override { return "concat"; }
  LayerOptions options() const override { return {{"axis", {static_cast<double>(axis_)}}}; }

  std::shared_ptr<const Layer> placed(std::span<const Shape> inputs) const override {
    output_shape(inputs, nullptr);
    auto layer = std::make_shared<Concat>(*this);
    layer->runs_.clear();
    layer->outer_ = 1;
    for (Index d = 0; d < axis_; ++d) layer->outer_ *= inputs[0].dims[static_cast<std::size_t>(d)];
    for (const Shape& shape : inputs) layer->runs_.push_back(shape.size() / layer->outer_);
    return layer;
  }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    if (inputs.empty() || axis_ < 0 || axis_ >= static_cast<Index>(inputs[0].dims.size()))
      input_error("a concat layer joins along dimension " + std::to_string(axis_),
                  "its inputs do not have it", "correct 'axis'");
    Shape joined = inputs[0];
    Index& along = joined.dims[static_cast<std::size_t>(axis_)];
    along = 0;
    for (const Shape& shape : inputs) {
      Shape other = shape;
      if (other.dims.size() == joined.dims.size()) {
        along += shape.dims[static_cast<std::size_t>(axis_)];
        other.dims[static_cast<std::size_t>(axis_)] = along;
      }
      if (other != joined)
        input_error("a concat layer's inputs are " + inputs[0].text() + " and " + shape.text(),
                    "they differ beside dimension " + std::to_string(axis_), "correct the layers before it");
    }
    return joined;
  }

  void forward(Inputs in, const Weights*, Matrix& out) const override { join(in, out); }

  void backward(Inputs in, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    (void)in;
    split(grad_out, grad_in);
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    std::vector<const MatrixD*> lower, upper;
    for (const Interval* input : in) {
      lower.push_back(&input->lower);
      upper.push_back(&input->upper);
    }
    join(std::span<const MatrixD* const>(lower), out.lower);
    join(std::span<const MatrixD* const>(upper), out.upper);
  }

  bool affine() const override { return true; }
  void pull(const MatrixD& coefficients, const Weights*, std::span<MatrixD* const> on_inputs,
            VectorD*) const override {
    split(coefficients, on_inputs);
  }

  void run(std::span<const DoubleDouble* const> in, const Weights*, DoubleDouble& out) const override {
    for (MatrixD DoubleDouble::*part : {&DoubleDouble::high, &DoubleDouble::low, &DoubleDouble::radius}) {
      std::vector<const MatrixD*> values;
      for (const DoubleDouble* input : in) values.push_back(&(input->*part));
      join(std::span<const MatrixD* const>(values), out.*part);
    }
  }

  double float_error() const override { return 0.0; }

 private:
  template <class Values>
  void join(std::span<const Values* const> in, Values& out) const {
    Index units = 0;
    for (const Index run : runs_) units += run * outer_;
    out.resize(in[0]->rows(), units);
    auto* to = out.data();
    for (Index n = 0; n < out.rows(); ++n) {
      for (Index o = 0; o < outer_; ++o) {
        for (std::size_t i = 0; i < in.size(); ++i)
          to = std::copy_n(in[i]->data() + n * in[i]->cols() + o * runs_[i], runs_[i], to);
      }
    }
  }

  template <class Values>
  void split(const Values& above, std::span<Values* const> below) const {
    const auto* from = above.data();
    for (Index n = 0; n < above.rows(); ++n) {
      for (Index o = 0; o < outer_; ++o) {
        for (std::size_t i = 0; i < below.size(); from += runs_[i++]) {
          if (below[i] == nullptr) continue;
          auto* to = below[i]->data() + n * below[i]->cols() + o * runs_[i];
          for (Index k = 0; k < runs_[i]; ++k) to[k] += from[k];
        }
      }
    }
  }

  Index axis_;
  Index outer_ = 1;          ///< values before the joined dimension
  std::vector<Index> runs_;  ///< values of each input behind one of them
};

}  // namespace

std::unique_ptr<Layer> make_concat(const LayerOptions& options) {
  return std::make_unique<Concat>(options);
}

}  // namespace temblor
