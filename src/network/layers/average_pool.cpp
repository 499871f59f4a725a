#include "../layer_table.hpp"
#include "mean.hpp"

namespace temblor {
namespace {

class AveragePool final : public MeanLayer {
 public:
  explicit AveragePool(const LayerOptions& options) : options_(options) {}
  std::string_view kind() const override { return "average-pool"; }
  LayerOptions options() const override { return options_; }

  std::shared_ptr<const Layer> placed(std::span<const Shape> inputs) const override {
    one_input(*this, inputs);
    auto layer = std::make_shared<AveragePool>(*this);
    const Sliding sliding(window_of(options_), inputs[0]);
    layer->place(sliding, whole(options_, "count-padding") != 0 ? sliding.taps() : 0);
    return layer;
  }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    one_input(*this, inputs);
    return pooled(Sliding(window_of(options_), inputs[0]));
  }

 private:
  LayerOptions options_;
};

}  // namespace

std::unique_ptr<Layer> make_average_pool(const LayerOptions& options) {
  return std::make_unique<AveragePool>(options);
}

}  // namespace temblor
