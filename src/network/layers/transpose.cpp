#include "../layer_table.hpp"
#include "gather.hpp"

#include <algorithm>

namespace temblor {
namespace {

GatherPlan plan_transpose(const LayerOptions& options, const Shape& input) {
  const auto order = per_dimension(options, "order", input);
  GatherPlan plan;
  for (Index d = 0; d < static_cast<Index>(order.size()); ++d) {
    if (std::count(order.begin(), order.end(), d) != 1)
      input_error("the order of a transpose layer does not name dimension " + std::to_string(d) + " once", "",
                  "list each dimension once, from 0");
    plan.shape.dims.push_back(input.dims[static_cast<std::size_t>(order[static_cast<std::size_t>(d)])]);
  }
  // From one place to the next along each dimension of the output.
  std::vector<Index> stride;
  for (const Index from : order) {
    Index values = 1;
    for (std::size_t d = static_cast<std::size_t>(from) + 1; d < input.dims.size(); ++d)
      values *= input.dims[d];
    stride.push_back(values);
  }
  plan.source.reserve(static_cast<std::size_t>(plan.shape.size()));
  each_place(plan.shape.dims, [&](const std::vector<Index>& at) {
    Index from = 0;
    for (std::size_t d = 0; d < at.size(); ++d) from += at[d] * stride[d];
    plan.source.push_back(static_cast<std::int32_t>(from));
  });
  return plan;
}

}  // namespace

std::unique_ptr<Layer> make_transpose(const LayerOptions& options) {
  return std::make_unique<Gather>("transpose", options, plan_transpose);
}

}  // namespace temblor
