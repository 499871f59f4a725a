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
  each_place(plan.shape.dims, [&](const std::vector<Index>& at) {
    std::vector<Index> from = at;
    bool inside = true;
    for (std::size_t d = 0; d < at.size(); ++d) {
      from[d] -= before[d];
      inside = inside && from[d] >= 0 && from[d] < input.dims[d];
    }
    plan.source.push_back(inside ? place_index(input.dims, from) : -1);
  });
  return plan;
}

}  // namespace

std::unique_ptr<Layer> make_pad(const LayerOptions& options) {
  return std::make_unique<Gather>("pad", options, plan_pad, static_cast<float>(options.at("value").front()));
}

}  // namespace temblor
