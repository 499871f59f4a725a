#pragma once

#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/threat.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::testing {

/// Plain long-double reference for chains of dense layers: an oracle that shares no code with the library.
using Real = long double;
struct ReferenceLayer {
  std::vector<std::vector<Real>> weight;  ///< [outputs][inputs]
  std::vector<Real> bias;                 ///< [outputs]
};
using ReferenceNetwork = std::vector<ReferenceLayer>;

/// What a random tiny network may be.
struct TinyOptions {
  std::vector<int> sizes{3, 3, 2};
  std::string activation = "relu";
  bool biases = false;
  bool signed_inputs = false;
  int images = 4;
};

/// A random dense chain (weights and biases normal, scaled by fan-in) and random labelled images for it.
struct Tiny {
  Network network;
  Dataset data;
};
Tiny tiny(Stream& stream, const TinyOptions& options);

ReferenceNetwork reference(const Network& network);
/// Logits for one image, relu between layers unless `activation` says tanh or sigmoid.
std::vector<Real> reference_logits(const ReferenceNetwork& network, const std::vector<Real>& image,
                                   const std::string& activation);
std::vector<Real> image_of(const Dataset& data, Index n);

/// The free parameters of a box set, in order, each with its radius.
struct FreeParameter {
  std::size_t layer, row, column;  ///< column == inputs: the bias
  Real radius;
};
std::vector<FreeParameter> free_parameters(const Network& network, const ThreatSet& set);
/// The member of the set whose parameter k sits at position[k] in [-1, 1] of its interval.
ReferenceNetwork member(const ReferenceNetwork& base, const std::vector<FreeParameter>& parameters,
                        const std::vector<Real>& position);

}  // namespace temblor::testing
