#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <temblor/formats/format.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/perturbation.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor {

/// A network as a device holds it: codes of every weight, and the network that computes with the decoded
/// values.
struct StoredNetwork {
  const Format* format;
  std::vector<Encoded> codes;  ///< one a weighted layer
  Network network;             ///< decoded weights, biases untouched (fp32)
  /// Where activations are held as codes as well (hold_activations); null: nowhere.
  std::shared_ptr<const std::vector<ActivationSite>> sites{};
  std::string name{};  ///< when it is more than the format's

  const std::string& label() const { return name.empty() ? format->name : name; }
};

/// Codes of one layer's weights.
Encoded encode(const Weights& weights, const Format& format);

/// Stores every weight in `format`. Layers that hold codes of this very format keep them, scales included.
/// fp32 keeps the weights bit for bit. Bad-input error naming layer and
/// weight where a weight is out of the format's range: weights never turn infinite, or saturate, silently.
StoredNetwork store(const Network& network, const Format& format);

/// The network with stored codes in the chosen layers, as the network file holds them: to nearest, or, with a
/// seed, rounded stochastically from the streams of weighted layer 0, 1, ... of that seed. Layers that hold
/// codes of this very format keep them. Errors as store.
Network quantise(const Network& network, const Format& format, const LayerSet& layers,
                 std::optional<std::uint64_t> seed = std::nullopt);

}  // namespace temblor
