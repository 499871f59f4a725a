#pragma once

#include <vector>

#include <temblor/network/network.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor::pgd {

/// What a perturbation of some layers can change. Everything else is computed once.
struct Reach {
  std::vector<bool> moving;  ///< by node: depends on a perturbed layer
  std::vector<bool> read;    ///< by node: fixed, and read by a moving node
  bool image_read = false;   ///< a moving node reads the image itself
  bool image_moves = false;  ///< the image is perturbed as well
  int first = 0;             ///< first moving node

  bool fixed(int node) const { return node < 0 ? !image_moves : !moving[static_cast<std::size_t>(node)]; }
};

Reach reach(const Network& network, const LayerSet& layers, bool image_moves = false);

/// Outputs of the fixed nodes that moving nodes read, for `images`; the other entries are empty.
void run_fixed(const Network& network, const Reach& reach, const Matrix& images, Activations& activations);

/// Pointers to a node's inputs.
std::vector<const Matrix*> inputs_of(const Network::Node& node, const Matrix& images,
                                     const Activations& activations);

}  // namespace temblor::pgd
