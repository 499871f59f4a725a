#include "../layer_table.hpp"
#include "pool.hpp"

namespace temblor {
namespace {

/// The largest value of the window. NaN wins; of equal values the first has the gradient.
class MaxPool final : public Layer {
 public:
  explicit MaxPool(const LayerOptions& options) : options_(options) {}
  std::string_view kind() const override { return "max-pool"; }
  LayerOptions options() const override { return options_; }

  std::shared_ptr<const Layer> placed(std::span<const Shape> inputs) const override {
    one_input(*this, inputs);
    auto layer = std::make_shared<MaxPool>(*this);
    layer->cells_ = PoolCells(Sliding(window_of(options_), inputs[0]));
    return layer;
  }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    one_input(*this, inputs);
    return pooled(Sliding(window_of(options_), inputs[0]));
  }

  void forward(Inputs in, const Weights*, Matrix& out) const override { largest(*in[0], out); }

  void backward(Inputs in, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    if (grad_in[0] == nullptr) return;
    cells_.each(grad_out.rows(), [&](Index from, Index to, std::span<const std::int32_t> cells) {
      const float* plane = in[0]->data() + from;
      std::int32_t best = cells[0];
      for (const std::int32_t cell : cells) best = greater(plane[cell], plane[best]) ? cell : best;
      grad_in[0]->data()[from + best] += grad_out.data()[to];
    });
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    largest(in[0]->lower, out.lower);
    largest(in[0]->upper, out.upper);
  }

  double float_error() const override { return 0.0; }

 private:
  template <class T>
  static bool greater(T a, T b) {
    return a > b || a != a;
  }

  template <class Values>
  void largest(const Values& in, Values& out) const {
    out.resize(in.rows(), cells_.outputs());
    cells_.each(in.rows(), [&](Index from, Index to, std::span<const std::int32_t> cells) {
      const auto* plane = in.data() + from;
      auto best = plane[cells[0]];
      for (const std::int32_t cell : cells) best = greater(plane[cell], best) ? plane[cell] : best;
      out.data()[to] = best;
    });
  }

  LayerOptions options_;
  PoolCells cells_;
};

}  // namespace

std::unique_ptr<Layer> make_max_pool(const LayerOptions& options) {
  return std::make_unique<MaxPool>(options);
}

}  // namespace temblor
