#include "../layer_table.hpp"
#include "gather.hpp"

namespace temblor {
namespace {

GatherPlan plan_slice(const LayerOptions& options, const Shape& input) {
  const auto start = per_dimension(options, "start", input);
  const auto count = per_dimension(options, "count", input);
  const auto step = per_dimension(options, "step", input);
  for (std::size_t d = 0; d < start.size(); ++d) {
    const Index last = start[d] + (count[d] - 1) * step[d];
    if (count[d] < 1 || start[d] < 0 || start[d] >= input.dims[d] || last < 0 || last >= input.dims[d]) {
      input_error("a slice from " + std::to_string(start[d]) + ", " + std::to_string(count[d]) +
                      " values, step " + std::to_string(step[d]),
                  "dimension " + std::to_string(d) + " of the input has " + std::to_string(input.dims[d]),
                  "keep within it");
    }
  }
  GatherPlan plan{{count}, {}};
  plan.source.reserve(static_cast<std::size_t>(plan.shape.size()));
  each_place(count, [&](const std::vector<Index>& at) {
    Index from = 0;
    for (std::size_t d = 0; d < at.size(); ++d) from = from * input.dims[d] + start[d] + at[d] * step[d];
    plan.source.push_back(static_cast<std::int32_t>(from));
  });
  return plan;
}

}  // namespace

std::unique_ptr<Layer> make_slice(const LayerOptions& options) {
  return std::make_unique<Gather>("slice", options, plan_slice);
}

}  // namespace temblor
