#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/perturb/stored.hpp>

namespace temblor {

Encoded encode(const Weights& weights, const Format& format) {
  const auto& matrix = weights.weight;
  return format.encode(format, {matrix.data(), static_cast<std::size_t>(matrix.size())},
                       static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols()));
}

StoredNetwork store(const Network& network, const Format& format) {
  StoredNetwork stored{&format, {}, network};
  for (int layer = 0; layer < network.layers(); ++layer) {
    Weights decoded = network.weights(layer);
    auto encoded = encode(decoded, format);
    for (std::size_t i = 0; i < encoded.codes.size(); ++i) {
      float& weight = decoded.weight.data()[i];
      const float value = encoded.decode(i);
      const double bound = format.rounding(encoded, weight, i / encoded.cols);
      if (!std::isfinite(value) || !std::isfinite(bound)) {
        input_error("weight " + std::to_string(i) + " of layer '" + network.layer_name(layer) + "' is " +
                        to_text(weight),
                    "format " + format.name + " holds " + format.range,
                    "use fp32, or a format of larger range or with a scale");
      }
      weight = value;
    }
    stored.network = stored.network.with(layer, std::move(decoded));
    stored.codes.push_back(std::move(encoded));
  }
  return stored;
}

}  // namespace temblor
