#include "builder.hpp"

#include <temblor/base/error.hpp>

namespace temblor {

ArchitectureBuilder::ArchitectureBuilder(const NetworkOrder& order, const std::string& name)
    : order_(order), network_(order.input, order.scaling) {
  if (order.input.dims.size() != 3) {
    usage_error("architecture '" + name + "'",
                "it takes pictures of channels x height x width; these images are " + order.input.text(),
                "use layer sizes, as in --arch " + std::to_string(order.input.size()) + "-128-" +
                    std::to_string(order.classes));
  }
  if (!make_layer(order.activation)->elementwise())
    usage_error("activation '" + order.activation + "'", "not element-wise", "use relu");
}

const Shape& ArchitectureBuilder::shape() const {
  return network_.nodes().empty() ? network_.input() : network_.nodes().back().shape;
}

Weights ArchitectureBuilder::zeros(Index outputs, Index inputs) const {
  Weights weights{Matrix::Zero(outputs, inputs), {}};
  if (order_.biases) weights.bias = Vector::Zero(outputs);
  return weights;
}

int ArchitectureBuilder::conv(const std::string& name, Index channels, Index kernel, Index stride,
                              Index padding) {
  const auto k = static_cast<double>(kernel);
  const auto s = static_cast<double>(stride);
  const auto p = static_cast<double>(padding);
  const Index inputs = shape().dims[0];
  return network_.add(
      make_layer("conv2d", {{"kernel", {k, k}}, {"stride", {s, s}}, {"padding", {p, p, p, p}}}),
      zeros(channels, inputs * kernel * kernel), {}, name);
}

int ArchitectureBuilder::dense(const std::string& name, Index units) {
  const Index inputs = shape().size();
  return network_.add(make_layer("dense"), zeros(units, inputs), {}, name);
}

int ArchitectureBuilder::activation(const std::string& name) {
  return network_.add(make_layer(order_.activation), {}, {}, name);
}

int ArchitectureBuilder::add(const std::string& name, const std::string& kind, const LayerOptions& options,
                             std::vector<int> inputs) {
  return network_.add(make_layer(kind, options), {}, std::move(inputs), name);
}

}  // namespace temblor
