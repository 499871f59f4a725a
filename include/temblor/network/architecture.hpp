#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <temblor/network/network.hpp>

namespace temblor {

/// What a network is to be made for.
struct NetworkOrder {
  Shape input;
  Index classes = 0;
  std::string activation = "relu";  ///< an element-wise layer
  bool biases = true;
  InputScaling scaling{};
};

/// A named architecture: one file src/network/architectures/NAME.cpp and one line in
/// src/network/architecture_table.cpp.
struct ArchitectureEntry {
  std::string name;
  std::string help;    ///< one line: layers
  std::string source;  ///< paper
  /// Training puts batch normalisation behind every convolution unless it is told otherwise.
  bool batch_norm;
  /// All parameters 0. Bad-input error where the images do not fit.
  Network (*make)(const NetworkOrder& order);
};

/// All named architectures. Incomplete entries throw at first use.
const std::vector<ArchitectureEntry>& architecture_table();
/// By name; usage error with the nearest name otherwise.
const ArchitectureEntry& find_architecture(std::string_view name);

/// A named architecture, or layer sizes as in "784-128-64-32-10" (then `order.classes` is not looked at).
Network make_architecture(const std::string& name, const NetworkOrder& order);
/// Whether `name` is a list of layer sizes.
bool is_sizes(const std::string& name);

}  // namespace temblor
