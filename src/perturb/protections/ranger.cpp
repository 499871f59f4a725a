#include "table.hpp"

namespace temblor {
namespace {

class Ranger final : public Protection {
 public:
  explicit Ranger(const ProtectionContext& context) : network_(&context.stored.network) {}
  std::uint64_t overhead_bits() const override {
    std::uint64_t nodes = 0;
    for (const auto& node : network_->nodes()) nodes += node.layer->elementwise() ? 1 : 0;
    return nodes * 2 * 32;
  }
  ProtectionCounts apply(const Exposure&, const Stream&, Perturbation&) const override { return {}; }
  bool clamps_activations() const override { return true; }

 private:
  const Network* network_;
};

}  // namespace

ProtectionEntry ranger_entry() {
  return {.name = "ranger",
          .help =
              "outputs of the activation functions, and activations read from memory, are clipped to the "
              "range they have without faults "
              "over the campaign's images, layer by layer; NaN becomes the lower end",
          .example = "ranger",
          .source = "Chen, Li, Pattabiraman, DSN 2021",
          .of = ProtectionOf::activations,
          .params = {},
          .make = [](const ProtectionContext& context) -> std::unique_ptr<Protection> {
            return std::make_unique<Ranger>(context);
          }};
}

}  // namespace temblor
