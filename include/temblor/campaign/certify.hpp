#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <temblor/attacks/attack.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/campaign/severity_search.hpp>
#include <temblor/perturb/stored.hpp>

namespace temblor {

/// Threat sets by severity. A larger severity must give a set that contains the smaller one's: what is proven
/// at one severity is then proven below it.
struct SetFamily {
  std::function<ThreatSet(double severity, const LayerSet& layers)> at;
  Quantity quantity;  ///< what the severity measures
};

struct CertifyBound {
  const BoundEntry* entry;
  Params params;
};

/// An attack that searches the family's sets, with a perturbation of its own for every image.
struct CertifyAttack {
  const AttackEntry* entry;
  Params params;
};

struct CertifyRequest {
  const StoredNetwork& stored;  ///< the network at the centre, in its number format
  const Dataset& data;
  SetFamily family;
  std::vector<LayerSet> layers;    ///< choices of layers, one after the other
  std::vector<double> severities;  ///< where accuracy and drops are tabulated, ascending
  std::vector<CertifyBound> bounds;
  bool arithmetic = true;  ///< also for float32 evaluation of both networks; radii are then for float32
  std::vector<CertifyAttack> attacks{};
  std::optional<SeverityGrid> grid{};  ///< where radii are searched; none: they are not
  bool attack_radius = false;          ///< with a grid: radii of the attacks too
  std::uint64_t seed = 1;
  /// Called before every piece of work with what comes next, from several threads at once; it may throw to
  /// stop.
  std::function<void(const std::string&)> step{};
};

using Flags = Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// One bound on the sets of one choice of layers. Rows are severities, columns images.
struct Certificate {
  std::string refused{};   ///< why the bound does not apply; then all else is empty
  MatrixD drop{};          ///< margin drop that the bound allows, exact arithmetic
  MatrixD drop_float32{};  ///< with what float32 evaluation may add; empty unless asked for
  Flags proven{};          ///< exact arithmetic
  Flags proven_float32{};
  /// [images]: a severity at which every network of the set was proven to predict the label, and at which,
  /// one grid step further, the proof fails. 0 where there is none; the grid's last where the proof never
  /// fails.
  std::vector<double> radius{};
};

/// The strongest of the attacks on the sets of one choice of layers.
struct Attacked {
  MatrixD drop{};  ///< [severities x images]: margin drop, float32
  /// [images]: a severity at which an attack took the label away, and one grid step below which it did not. 0
  /// where the label is wrong without attack; infinite where it stands to the end of the grid.
  std::vector<double> radius{};
};

struct Certificates {
  std::vector<std::vector<Certificate>> bounds;  ///< [choices of layers][bounds]
  std::vector<Attacked> attacks;                 ///< [choices of layers]; empty without attacks
  std::vector<double> margin;                    ///< [images], float32, unperturbed
  Matrix logits;                                 ///< [images x classes], unperturbed
};

/// Certified accuracy, certified radii and tightness of bounds, and what attacks reach on the same sets.
/// Usage error when an attack's set is not the family's. The result does not depend on the number of threads.
Certificates certify(const CertifyRequest& request);

/// Images whose label is the prediction of every network of a set: all pair margins exceed what they may
/// lose. `pair_margins` and `value` [images x classes].
std::vector<bool> proven_labels(const MatrixD& pair_margins, const MatrixD& value,
                                const std::vector<std::int32_t>& labels);

/// Certificate and attack at one severity, folded over the images.
struct CertifySummary {
  std::size_t layers, bound, severity;  ///< indices
  std::int64_t certified = 0;           ///< images proven, exact arithmetic
  std::int64_t certified_float32 = -1;  ///< images proven for float32; -1 when not asked for
  double mean_drop = 0;                 ///< of the bound
  double median_drop = 0;
  std::int64_t standing = -1;       ///< images that keep their label under attack; -1 without
  double mean_attack = 0;           ///< mean drop of the attack; NaN without
  std::int64_t violated = 0;        ///< images whose attack drop exceeds the bound for float32
  std::vector<double> tightness{};  ///< attack drop / bound at check_quantiles; empty without attack
  std::vector<double> to_exact{};   ///< drop of the bound `exact` / this bound, likewise; empty without it
};

/// One severity's attack, folded over the images: mean drop, and images that keep their label.
struct AttackSummary {
  double mean_drop;
  std::int64_t standing;
};
AttackSummary attack_summary(const VectorD& drop, const std::vector<double>& margin);

/// One row a choice of layers, severity and bound that applies, in this order.
std::vector<CertifySummary> summarise(const CertifyRequest& request, const Certificates& certificates);

/// Images whose certified radius exceeds the attack's: a broken proof.
std::int64_t broken_radii(const Certificate& certificate, const Attacked& attacked);

}  // namespace temblor
