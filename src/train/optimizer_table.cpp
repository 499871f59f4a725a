#include "optimizer_table.hpp"

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

ParamSpec real(std::string name, std::string initial, std::string help, double least, double most) {
  return {std::move(name), ParamType::real, std::move(initial), std::move(help), "", least, most, {}};
}

}  // namespace

const std::vector<OptimizerEntry>& optimizer_table() {
  static const std::vector<OptimizerEntry> table = [] {
    const ParamSpec decay =
        real("weight-decay", "0", "adds this times the weight to its gradient (biases are left alone)", 0, 1);
    std::vector<OptimizerEntry> entries = {
        {"adam",
         "m, s = running means of g, g^2, bias-corrected; w -= lr m / (sqrt(s) + epsilon)",
         0.002,
         {real("beta1", "0.9", "decay of the running mean of g", 0, 0.9999),
          real("beta2", "0.999", "decay of the running mean of g^2", 0, 0.999999),
          real("epsilon", "1e-8", "keeps the division finite", 1e-30, 1), decay},
         make_adam},
        {"sgd",
         "v = momentum v + g; w -= lr v",
         0.05,
         {real("momentum", "0.9", "share of the last step that is kept", 0, 0.9999), decay},
         make_sgd},
    };
    for (const auto& entry : entries) {
      ensure(!entry.name.empty() && !entry.help.empty() && entry.rate > 0 && entry.make,
             "optimizer table entry is complete: " + entry.name);
    }
    return entries;
  }();
  return table;
}

const OptimizerEntry& find_optimizer(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : optimizer_table()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  unknown_name("optimizer", name, names);
}

std::vector<Weights> zeros_like(std::span<const Weights> parameters) {
  std::vector<Weights> zeros;
  for (const Weights& layer : parameters) {
    zeros.push_back(
        {Matrix::Zero(layer.weight.rows(), layer.weight.cols()), Vector::Zero(layer.bias.size())});
  }
  return zeros;
}

}  // namespace temblor
