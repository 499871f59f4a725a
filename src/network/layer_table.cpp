#include "layer_table.hpp"

#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/network/layer.hpp>

namespace temblor {

void Layer::apply(float*, Index) const {
  internal_error("layer '" + std::string(kind()) + "' is not element-wise");
}

bool Layer::reach(const MatrixD&, const Weights&, const Radius&, MatrixD&) const {
  return false;
}

double Layer::float_error() const {
  return std::numeric_limits<double>::infinity();
}

const std::vector<LayerEntry>& layer_table() {
  static const std::vector<LayerEntry> table = [] {
    std::vector<LayerEntry> entries = {
        {"dense", "p = W z + b, W [outputs x inputs]; bias optional", true, make_dense},
        {"relu", "z = max(p, 0), element-wise; NaN stays NaN", false, make_relu},
        {"sigmoid", "z = 1 / (1 + exp(-p)), element-wise; 1/4-Lipschitz, range (0, 1)", false, make_sigmoid},
        {"tanh", "z = tanh(p), element-wise; 1-Lipschitz, range (-1, 1)", false, make_tanh},
        {"flatten", "any shape becomes one long dimension, NCHW order", false, make_flatten},
    };
    for (const auto& entry : entries) {
      ensure(!entry.name.empty() && !entry.help.empty() && entry.make,
             "layer table entry is complete: " + entry.name);
    }
    return entries;
  }();
  return table;
}

std::unique_ptr<Layer> make_layer(std::string_view kind) {
  std::vector<std::string> names;
  for (const auto& entry : layer_table()) {
    if (entry.name == kind) return entry.make();
    names.push_back(entry.name);
  }
  const std::string near = nearest(kind, names);
  input_error("unknown layer kind '" + std::string(kind) + "'", "",
              near.empty() ? "known are " + join(names, ", ") : "did you mean '" + near + "'?");
}

}  // namespace temblor
