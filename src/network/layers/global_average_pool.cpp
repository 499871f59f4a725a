#include "../layer_table.hpp"
#include "mean.hpp"

namespace temblor {
namespace {

class GlobalAveragePool final : public MeanLayer {
 public:
  std::string_view kind() const override { return "global-average-pool"; }

  std::shared_ptr<const Layer> placed(std::span<const Shape> inputs) const override {
    output_shape(inputs, nullptr);
    auto layer = std::make_shared<GlobalAveragePool>(*this);
    Window whole;
    whole.kernel = {inputs[0].dims[1], inputs[0].dims[2]};
    layer->place(Sliding(whole, inputs[0]), 0);
    return layer;
  }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    one_input(*this, inputs);
    if (inputs[0].dims.size() != 3)
      input_error("a global-average-pool layer's input is " + inputs[0].text(), "",
                  "it needs channels x height x width");
    return {{inputs[0].dims[0], 1, 1}};
  }
};

}  // namespace

std::unique_ptr<Layer> make_global_average_pool(const LayerOptions&) {
  return std::make_unique<GlobalAveragePool>();
}

}  // namespace temblor
