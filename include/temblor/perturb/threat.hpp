#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <temblor/formats/format.hpp>
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
  linf,       ///< abs(W^ - W) <= eps element-wise
  relative,   ///< abs(W^ - W) <= r abs(W) element-wise
  box,        ///< abs(W^ - W) <= R element-wise
  l2,         ///< Frobenius norm of W^ - W <= radius, layer by layer
  l2_row,     ///< l2 norm of every row of W^ - W <= radius
  k_weights,  ///< at most k weights of all chosen layers together change, each by at most delta
  bits        ///< bits of stored codes are inverted: no bound of the real-valued kind applies
};
std::string to_text(Ball ball);
Ball parse_ball(const std::string& text);

/// Stored codes whose bits may flip.
struct FlippableCodes {
  std::vector<Encoded> codes;  ///< one a weighted layer; no codes for untouched layers
  std::uint32_t mask = 0;      ///< bits of a code that may flip
};

/// At most `count` parameters of all layers together change, each by at most its entry of `each`; or at most
/// `count` bits of `flips` are inverted.
struct Budget {
  std::int64_t count = 0;
  std::vector<std::optional<Radius>> each{};  ///< one a weighted layer, empty for untouched layers
  std::shared_ptr<const FlippableCodes> flips{};

  bool zero() const;
};

/// Members differ from the base network by a change in `radius` PLUS one in the l2 balls PLUS one within the
/// budget; the set's `ball` says which of these is its own, the others may be added to it.
struct ThreatSet {
  Ball ball = Ball::linf;
  double severity = 0;
  LayerSet layers;
  bool biases = false;  ///< biases move too (by the same eps, or r abs(b); l2: in one vector with the weights
                        ///< of the layer, or row; k-weights: each may be one of the k)
  /// One a weighted layer; empty for untouched layers. For linf, relative and box the element-wise radius.
  std::vector<std::optional<Radius>> radius;
  double frobenius = 0;  ///< l2: the radius of every chosen layer
  double row = 0;        ///< l2-row: the radius of every row of every chosen layer
  Budget budget{};       ///< k-weights
  /// Every value of the image moves too, by at most this much, within the range that the dataset states (if
  /// it states one).
  double input = 0;
  /// Canonical text, equal exactly when the sets are equal for the same base network, e.g.
  /// "linf eps=0.001 layers=all biases=false"; "box id=<sha256 of R> layers=0".
  std::string key;
};

ThreatSet linf_set(const Network& network, double eps, const LayerSet& layers, bool biases);
ThreatSet relative_set(const Network& network, double r, const LayerSet& layers, bool biases);
ThreatSet l2_set(const Network& network, double radius, const LayerSet& layers, bool biases = false);
ThreatSet l2_row_set(const Network& network, double radius, const LayerSet& layers, bool biases = false);
ThreatSet k_weights_set(const Network& network, std::int64_t count, double delta, const LayerSet& layers,
                        bool biases = false);
/// At most `flips` bits of the codes inverted (theory, section 5). `what` describes format and bits in the
/// key; `network` computes with the decoded codes.
ThreatSet flips_set(const Network& network, const std::string& what, std::int64_t flips,
                    const LayerSet& layers, FlippableCodes codes);
/// Random flips, any number of them: no bound applies. `what` names the severity: "ber".
ThreatSet bits_set(const Network& network, const std::string& what, double severity, const LayerSet& layers);
/// `radius` has one entry a weighted layer, empty for untouched ones. `what` describes it in the key.
ThreatSet box_set(const Network& network, double severity, std::vector<std::optional<Radius>> radius,
                  const std::string& what);
/// The set with an l_inf ball around the image as well (Weng et al., arXiv 2102.11935: joint perturbation).
ThreatSet with_input(ThreatSet set, double radius);
/// The set around the rounded network as well: every weight of its layers moves by its actual rounding error
/// in `format` and, on top, as the set says (theory, section 5). Nothing to add for fp32.
ThreatSet with_rounding(ThreatSet set, const Network& network, const Format& format);
/// Whether the set is no more than a box around each parameter.
bool box_alone(const ThreatSet& set);

}  // namespace temblor
