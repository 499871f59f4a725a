#include <cstring>

#include <support/networks.hpp>

#include <temblor/base/text.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::testing {
namespace {

template <class Values>
bool same_bytes(const Values& a, const Values& b) {
  return a.size() == b.size() &&
         (a.size() == 0 ||
          std::memcmp(a.data(), b.data(), sizeof(float) * static_cast<std::size_t>(a.size())) == 0);
}

}  // namespace

Network random_network(const std::string& arch, std::uint64_t seed, bool biases) {
  const auto inputs = static_cast<Index>(parse_integer(split(arch, '-').front(), "inputs", 1));
  Network network = multilayer_perceptron(arch, "relu", biases, {}, {{inputs}});
  Stream stream(seed, {});
  for (int layer = 0; layer < network.layers(); ++layer) {
    Weights weights = network.weights(layer);
    for (Index i = 0; i < weights.weight.size(); ++i)
      weights.weight.data()[i] = static_cast<float>(stream.normal());
    for (Index i = 0; i < weights.bias.size(); ++i) weights.bias(i) = static_cast<float>(stream.normal());
    network = network.with(layer, weights);
  }
  return network;
}

Dataset random_dataset(const Network& network, Index count, std::uint64_t seed) {
  Dataset data;
  data.name = "random";
  data.select = "all";
  data.shape = network.input();
  data.classes = network.classes();
  data.images.resize(count, network.input().size());
  data.scaling = network.scaling();
  Stream stream(seed, {});
  for (Index i = 0; i < data.images.size(); ++i) data.images.data()[i] = static_cast<float>(stream.uniform());
  for (Index i = 0; i < count; ++i) {
    data.labels.push_back(static_cast<std::int32_t>(i % data.classes));
    data.index.push_back(i);
  }
  return data;
}

bool same_bits(const Weights& a, const Weights& b) {
  return same_bytes(a.weight, b.weight) && same_bytes(a.bias, b.bias);
}

}  // namespace temblor::testing
