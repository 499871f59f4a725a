#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/train/loss.hpp>

namespace temblor::testing {

/// A loss by name, parameters as given.
std::unique_ptr<Loss> loss_of(const std::string& name, const std::map<std::string, std::string>& given);

/// Loss and gradient of one block, penalty included.
struct Evaluated {
  double loss;
  std::vector<Weights> gradients;
};
Evaluated evaluate(const Loss& loss, const Network& network, const Dataset& data);

/// How far gradients are outside the range between finite differences to the left and to the right: the worst
/// over all parameters (subgradient_error). `bends` and `values` count parameters with a kink, and all.
double worst_gradient(const Loss& loss, const Network& network, const Dataset& data, Index& bends,
                      Index& values);

/// The loss of one image at a time, less its cross-entropy.
std::vector<double> beyond_cross_entropy(const Loss& loss, const Network& network, const Dataset& data);

}  // namespace temblor::testing
