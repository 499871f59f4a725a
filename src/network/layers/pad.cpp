#include "../layer_table.hpp"
#include "gather.hpp"

namespace temblor {
namespace {

constexpr Index most = Index{1} << 25;

GatherPlan plan_pad(const LayerOptions& options, const Shape& input) {
  const auto before = per_dimension(options, "before", input);
  const auto after = per_dimension(options, "after", input);
  GatherPlan plan;
  Index size = 1;
  for (std::size_t d = 0; d < before.size(); ++d) {
    if (before[d] < 0 || after[d] < 0)
      input_error("a pad layer removes values", "a count is below 0", "use a slice layer");
    plan.shape.dims.push_back(before[d] + input.dims[d] + after[d]);
    size = plan.shape.dims.back() > most / size ? most + 1 : size * plan.shape.dims.back();
    if (size > most) input_error("a padded image has more than 2^25 values", "", "correct the counts");
  }
  plan.source.reserve(static_cast<std::size_t>(size));
  each_place(plan.shape.dims, [&](const std::vector<Index>& at) {
    Index from = 0;
    bool inside = true;
    for (std::size_t d = 0; d < at.size(); ++d) {
      const Index i = at[d] - before[d];
      inside = inside && i >= 0 && i < input.dims[d];
      from = from * input.dims[d] + i;
    }
    plan.source.push_back(inside ? static_cast<std::int32_t>(from) : -1);
  });
  return plan;
}

}  // namespace

std::unique_ptr<Layer> make_pad(const LayerOptions& options) {
  return std::make_unique<Gather>("pad", options, plan_pad, static_cast<float>(options.at("value").front()));
}

}  // namespace temblor
