#pragma once

#include <vector>

#include <temblor/formats/format.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

/// A network as a device holds it: codes of every weight, and the network that computes with the decoded
/// values.
struct StoredNetwork {
  const Format* format;
  std::vector<Encoded> codes;  ///< one a weighted layer
  Network network;             ///< decoded weights, biases untouched (fp32)
};

/// Codes of one layer's weights.
Encoded encode(const Weights& weights, const Format& format);

/// Stores every weight in `format`. fp32 keeps the weights bit for bit. Bad-input error naming layer and
/// weight where a weight is out of the format's range: weights never turn infinite, or saturate, silently.
StoredNetwork store(const Network& network, const Format& format);

}  // namespace temblor
