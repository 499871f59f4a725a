#pragma once

#include <string>
#include <vector>

#include <temblor/network/architecture.hpp>

namespace temblor {

// One factory a file in src/network/architectures.
Network make_lenet5(const NetworkOrder& order);
Network make_resnet8(const NetworkOrder& order);
Network make_resnet20(const NetworkOrder& order);

/// Square windows and named layers with zero parameters. Each call adds a layer behind the one added last,
/// unless `from` names another node, and returns its node.
class ArchitectureBuilder {
 public:
  /// `name` is that of the architecture, for errors. Bad-input error for images that are no planes.
  ArchitectureBuilder(const NetworkOrder& order, const std::string& name);

  int conv(const std::string& name, Index channels, Index kernel, Index stride, Index padding);
  int dense(const std::string& name, Index units);
  int activation(const std::string& name);
  int add(const std::string& name, const std::string& kind, const LayerOptions& options = {},
          std::vector<int> inputs = {});

  /// The shape behind the layer added last.
  const Shape& shape() const;
  int last() const { return static_cast<int>(network_.nodes().size()) - 1; }
  Network network() && { return std::move(network_); }

 private:
  Weights zeros(Index outputs, Index inputs) const;

  const NetworkOrder& order_;
  Network network_;
};

}  // namespace temblor
