#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/perturb/stored.hpp>

namespace temblor {
namespace {

const Encoded* own_codes(const Network& network, int layer, const Format& format) {
  const Encoded* own = network.codes(layer);
  return own != nullptr && own->format == &format ? own : nullptr;
}

void refuse_out_of_range(const Network& network, int layer, const Encoded& encoded) {
  const Format& format = *encoded.format;
  const auto& weights = network.weights(layer).weight;
  for (std::size_t i = 0; i < encoded.codes.size(); ++i) {
    const float weight = weights.data()[i];
    if (std::isfinite(encoded.decode(i)) &&
        std::isfinite(format.rounding(encoded, weight, i / encoded.cols))) {
      continue;
    }
    input_error(
        "weight " + std::to_string(i) + " of layer '" + network.layer_name(layer) + "' is " + to_text(weight),
        "format " + format.name + " holds " + format.range,
        "use fp32, or a format of larger range or with a scale");
  }
}

}  // namespace

Encoded encode(const Weights& weights, const Format& format) {
  const auto& matrix = weights.weight;
  return format.encode(format, {matrix.data(), static_cast<std::size_t>(matrix.size())},
                       static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols()));
}

StoredNetwork store(const Network& network, const Format& format) {
  StoredNetwork stored{&format, {}, network};
  for (int layer = 0; layer < network.layers(); ++layer) {
    if (const Encoded* own = own_codes(network, layer, format)) {
      stored.codes.push_back(*own);
      continue;
    }
    Weights decoded = network.weights(layer);
    auto encoded = encode(decoded, format);
    refuse_out_of_range(network, layer, encoded);
    for (std::size_t i = 0; i < encoded.codes.size(); ++i) decoded.weight.data()[i] = encoded.decode(i);
    stored.network = stored.network.with(layer, std::move(decoded));
    stored.codes.push_back(std::move(encoded));
  }
  return stored;
}

Network quantise(const Network& network, const Format& format, const LayerSet& layers,
                 std::optional<std::uint64_t> seed) {
  Network quantised = network;
  for (const int layer : layers) {
    if (own_codes(network, layer, format) != nullptr) continue;
    const auto& weights = network.weights(layer);
    auto encoded = encode(weights, format);
    refuse_out_of_range(network, layer, encoded);
    if (seed) {
      Stream stream(*seed, {0, 0, static_cast<std::uint32_t>(layer)});
      const auto& matrix = weights.weight;
      encoded = encode_stochastic(format, {matrix.data(), encoded.codes.size()}, encoded.rows, encoded.cols,
                                  stream);
    }
    quantised.set_codes(layer, std::move(encoded));
  }
  return quantised;
}

}  // namespace temblor
