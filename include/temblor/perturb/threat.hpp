#pragma once

#include <optional>
#include <string>
#include <vector>

#include <temblor/network/network.hpp>

namespace temblor {

/// Weighted layers chosen for perturbation, sorted, without repeats. "all", or "0,2" (indices), or layer
/// names.
using LayerSet = std::vector<int>;
LayerSet parse_layers(const std::string& text, const Network& network);
/// Canonical text: "all" or "0+2" (a '+' so that a comma can separate grid values).
std::string layers_text(const LayerSet& layers, const Network& network);

/// What a perturbed network may be (theory, section 1).
enum class Ball {
  linf,      ///< abs(W^ - W) <= eps element-wise
  relative,  ///< abs(W^ - W) <= r abs(W) element-wise
  box,       ///< abs(W^ - W) <= R element-wise
  l2,        ///< Frobenius norm of W^ - W <= radius, layer by layer
  bits       ///< bits of stored codes are inverted: no bound of the real-valued kind applies
};
std::string to_text(Ball ball);
Ball parse_ball(const std::string& text);

struct ThreatSet {
  Ball ball = Ball::linf;
  double severity = 0;
  LayerSet layers;
  bool biases = false;  ///< biases move too (by the same eps, or r abs(b); not for box and bits)
  /// One a weighted layer; empty for untouched layers. For linf, relative and box the element-wise radius.
  /// For l2 empty.
  std::vector<std::optional<Radius>> radius;
  double frobenius = 0;  ///< l2: the radius of every chosen layer
  /// Canonical text, equal exactly when the sets are equal for the same base network, e.g.
  /// "linf eps=0.001 layers=all biases=false"; "box id=<sha256 of R> layers=0".
  std::string key;
};

ThreatSet linf_set(const Network& network, double eps, const LayerSet& layers, bool biases);
ThreatSet relative_set(const Network& network, double r, const LayerSet& layers, bool biases);
ThreatSet l2_set(const Network& network, double radius, const LayerSet& layers);
/// `what` names the severity: "ber", "flips".
ThreatSet bits_set(const Network& network, const std::string& what, double severity, const LayerSet& layers);
/// `radius` has one entry a weighted layer, empty for untouched ones. `what` describes it in the key.
ThreatSet box_set(const Network& network, double severity, std::vector<std::optional<Radius>> radius,
                  const std::string& what);

}  // namespace temblor
