#include "../layer_table.hpp"
#include "pool.hpp"

#include <optional>

#include <temblor/network/double_double.hpp>

namespace temblor {
namespace {

/// The largest value of the window. NaN wins; of equal values the first has the gradient.
class MaxPool final : public Layer, public DoubleDoubleLayer {
 public:
  explicit MaxPool(const LayerOptions& options) : options_(options) {}
  std::string_view kind() const override { return "max-pool"; }
  LayerOptions options() const override { return options_; }

  std::shared_ptr<const Layer> placed(std::span<const Shape> inputs) const override {
    one_input(*this, inputs);
    auto layer = std::make_shared<MaxPool>(*this);
    layer->sliding_.emplace(window_of(options_), inputs[0]);
    layer->cells_ = PoolCells(*layer->sliding_);
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
    if (cells_.full()) return to_winners(*in[0], grad_out, *grad_in[0]);
    cells_.each(grad_out.rows(), [&](Index from, Index to, std::span<const std::int32_t> cells) {
      const float* plane = in[0]->data() + from;
      std::int32_t best = cells[0];
      for (const std::int32_t cell : cells) best = greater(plane[cell], plane[best]) != 0 ? cell : best;
      grad_in[0]->data()[from + best] += grad_out.data()[to];
    });
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    largest(in[0]->lower, out.lower);
    largest(in[0]->upper, out.upper);
  }

  void run(std::span<const DoubleDouble* const> in, const Weights*, DoubleDouble& out) const override {
    for (MatrixD* values : {&out.high, &out.low, &out.radius})
      values->resize(in[0]->high.rows(), cells_.outputs());
    const double* high = in[0]->high.data();
    const double* low = in[0]->low.data();
    const double* radius = in[0]->radius.data();
    cells_.each(in[0]->high.rows(), [&](Index from, Index to, std::span<const std::int32_t> cells) {
      Index best = from + cells[0];
      double most = radius[best];
      for (const std::int32_t cell : cells.subspan(1)) {
        const Index at = from + cell;
        if (greater(high[at], high[best]) != 0 || (high[at] == high[best] && low[at] > low[best])) best = at;
        most = std::max(most, radius[at]);
      }
      out.high.data()[to] = high[best];
      out.low.data()[to] = low[best];
      out.radius.data()[to] = most;
    });
  }

  double float_error() const override { return 0.0; }

 private:
  template <class T>
  static int greater(T a, T b) {
    return static_cast<int>(a > b) | static_cast<int>(a != a);
  }

  template <class Values>
  void largest(const Values& in, Values& out) const {
    out.resize(in.rows(), cells_.outputs());
    if (cells_.full()) {
      const Sliding& sliding = *sliding_;
      if (sliding.window().stride[1] == 1) return by_rows<1>(sliding, in, out);
      if (sliding.window().stride[1] == 2) return by_rows<2>(sliding, in, out);
    }
    cells_.each(in.rows(), [&](Index from, Index to, std::span<const std::int32_t> cells) {
      const auto* plane = in.data() + from;
      auto best = plane[cells[0]];
      for (const std::int32_t cell : cells) best = greater(plane[cell], best) != 0 ? plane[cell] : best;
      out.data()[to] = best;
    });
  }

  /// The same, a row of outputs at once; no window reaches into the padding.
  template <Index Step, class Values>
  static void by_rows(const Sliding& sliding, const Values& in, Values& out) {
    const Index kernel_columns = sliding.window().kernel[1];
    const Index columns = sliding.columns();
    const auto* plane = in.data();
    auto* to = out.data();
    for (Index p = 0; p < in.rows() * sliding.channels(); ++p, plane += sliding.height() * sliding.width()) {
      for (Index row = 0; row < sliding.rows(); ++row, to += columns) {
        for (Index t = 0; t < sliding.taps(); ++t) {
          const auto* from = plane + sliding.image_row(row, t / kernel_columns) * sliding.width() +
                             sliding.image_column(0, t % kernel_columns);
          if (t == 0) {
            for (Index x = 0; x < columns; ++x) to[x] = from[Step * x];
            continue;
          }
          for (Index x = 0; x < columns; ++x)
            to[x] = greater(from[Step * x], to[x]) != 0 ? from[Step * x] : to[x];
        }
      }
    }
  }

  /// Backward where no window reaches into the padding.
  void to_winners(const Matrix& in, const Matrix& grad_out, Matrix& grad_in) const {
    const Sliding& sliding = *sliding_;
    std::vector<Index> cells;  // of a window, from its corner
    for (Index t = 0; t < sliding.taps(); ++t) {
      const Index columns = sliding.window().kernel[1];
      cells.push_back(t / columns * sliding.window().dilation[0] * sliding.width() +
                      t % columns * sliding.window().dilation[1]);
    }
    const float* above = grad_out.data();
    for (Index p = 0; p < in.rows() * sliding.channels(); ++p) {
      for (Index row = 0; row < sliding.rows(); ++row) {
        Index at = (p * sliding.height() + sliding.image_row(row, 0)) * sliding.width();
        for (Index column = 0; column < sliding.columns(); ++column, at += sliding.window().stride[1]) {
          const float* window = in.data() + at;
          float best = window[0];
          Index winner = 0;
          for (const Index cell : cells) {
            const bool wins = greater(window[cell], best) != 0;
            best = wins ? window[cell] : best;
            winner = wins ? cell : winner;
          }
          grad_in.data()[at + winner] += *above++;
        }
      }
    }
  }

  LayerOptions options_;
  std::optional<Sliding> sliding_;
  PoolCells cells_;
};

}  // namespace

std::unique_ptr<Layer> make_max_pool(const LayerOptions& options) {
  return std::make_unique<MaxPool>(options);
}

}  // namespace temblor
