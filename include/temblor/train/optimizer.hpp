#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <temblor/base/params.hpp>
#include <temblor/network/types.hpp>

namespace temblor {

/// A rule that turns gradients into steps. It holds its own state (velocities, moments).
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One step on all parameters from the gradient of the batch's mean loss. Element-wise: the same bytes
  /// whatever the threads.
  virtual void step(std::span<Weights> parameters, std::span<const Weights> gradients, double rate) = 0;
};

/// An optimiser: one file src/train/optimizers/NAME.cpp and one line in src/train/optimizer_table.cpp.
struct OptimizerEntry {
  std::string name;
  std::string help;  ///< one line: formula
  double rate;       ///< learning rate when none is given
  std::vector<ParamSpec> params;
  /// `parameters` gives the shapes of the state.
  std::unique_ptr<Optimizer> (*make)(const Params& params, std::span<const Weights> parameters);
};

const std::vector<OptimizerEntry>& optimizer_table();
/// By name; usage error with the nearest name otherwise.
const OptimizerEntry& find_optimizer(std::string_view name);

/// Parameters of the same shapes, all zero.
std::vector<Weights> zeros_like(std::span<const Weights> parameters);

}  // namespace temblor
