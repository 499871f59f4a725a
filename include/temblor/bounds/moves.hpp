#pragma once

#include <cstdint>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/flips.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor {

/// How far one change of the budget moves a parameter of a layer: by at most `each`, or as `flips` says.
struct Allowance {
  const Radius* each = nullptr;
  const FlipReach* flips = nullptr;

  explicit operator bool() const { return each != nullptr || flips != nullptr; }
  /// Whether every weight of the layer may change by the same.
  bool uniform() const { return each != nullptr && each->weight.size() == 0 && each->bias.size() == 0; }
};

/// What may change besides the boxes around parameters, and on top of them: all of it at once.
struct Moves {
  std::vector<double> l2;   ///< Frobenius radius of each weighted layer's change, 0 for none; empty: no layer
  std::vector<double> row;  ///< l2 radius of each row of it, likewise
  bool biases = false;      ///< a bias is one more column of the rows of `l2` and `row`
  Budget budget{};
  std::vector<FlipReach> flips{};  ///< what budget.flips makes of each weighted layer
  double input = 0;                ///< of every image value, within Dataset::least .. most

  /// Whether parameters of this weighted layer move.
  bool touch(int layer) const;
  double l2_of(int layer) const { return l2.empty() ? 0 : l2[static_cast<std::size_t>(layer)]; }
  double row_of(int layer) const { return row.empty() ? 0 : row[static_cast<std::size_t>(layer)]; }
  /// How much one of the `count` parameters of this layer may change; null: not at all.
  Allowance allowance(int layer) const;
};

Moves moves_of(const ThreatSet& set, const Network& network);
/// What float32 arithmetic makes of them: the rounding of a product with a changed weight is a change gamma
/// times as large (theory, section 6).
Moves moves_in_float32(const Moves& moves, const Network& network);

/// The box around rows [first, first + count) of the images, rounded outward.
Interval image_box(const Dataset& data, Index first, Index count, double radius);

/// Upper limits on ||z||_2, or ||(z, 1)||_2 with `bias`, one an image, for magnitudes abs(z) <= `magnitude`.
VectorD size_of(const MatrixD& magnitude, bool bias);

/// The largest k of a stream of numbers.
class Largest {
 public:
  explicit Largest(std::int64_t k) : k_(static_cast<std::size_t>(k)) {}
  /// False when x is not among the k largest: neither is anything smaller.
  bool add(double x);
  /// Every abs(a_i) D_ij z_j and abs(a_i) d_i: what changing single parameters of a layer, each by D or d,
  /// can take off a^T p. a [outputs]; z [inputs] not negative, largest first as `order` says (see
  /// descending). With `signs`, z are the inputs themselves and not their magnitudes: only flips that lower
  /// a^T p count.
  void add_products(const Eigen::Ref<const VectorD>& a, const Allowance& allowance,
                    const Eigen::Ref<const VectorD>& z, const std::vector<Index>& order, bool signs);
  /// The same for a = e_i or -e_i, z magnitudes.
  void add_output(Index i, const Allowance& allowance, const Eigen::Ref<const VectorD>& z,
                  const std::vector<Index>& order);
  /// The same for a kernel that positions share: its entry (c, k) takes D_ck |g_ck| off a^T p, g within
  /// [lower, upper] [channels x depth], and a bias d_c |sums_c|. Flips count by what they lower.
  void add_shared(const Interval& g, const VectorD& sums, const Allowance& allowance);
  /// At least the sum of the k largest.
  double sum() const;

 private:
  bool full(double x) const { return heap_.size() == k_ && (k_ == 0 || x <= heap_.front()); }
  /// Changes of the parameters of one output, `size` each times that of its own.
  void add_radius(double size, Index i, const Radius& each, const Eigen::Ref<const VectorD>& z,
                  const std::vector<Index>& order);
  void add_flips(double size, Index i, const std::vector<MatrixD>& levels, double largest,
                 const Eigen::Ref<const VectorD>& z, const std::vector<Index>& order);
  void add_flips(const VectorD& size, const std::vector<MatrixD>& levels, const VectorD& largest,
                 const Eigen::Ref<const VectorD>& z, const std::vector<Index>& order);

  std::size_t k_;
  std::vector<double> heap_;  ///< smallest in front
};

/// Positions of the values, the largest value first.
std::vector<Index> descending(const Eigen::Ref<const VectorD>& values);

/// Upper limits on what the last layer's l2 balls take off the margins f^{yj}, [images x classes], for
/// magnitudes abs(z) <= `magnitude` of its inputs: sqrt(2) radius ||z||_2 for a Frobenius ball, 2 radius
/// ||z||_2 for rows. 0 at y.
MatrixD balls_on_margins(const Moves& moves, int layer, Index label, const MatrixD& magnitude, Index classes);
/// The same for the whole budget spent in the last layer: the k largest changes of both rows.
MatrixD budget_on_margins(const Moves& moves, int layer, Index label, const MatrixD& magnitude,
                          Index classes);

/// Why what is not a box does not apply to some layer of this network; "" when it does, or there is none.
std::string refuses_moves(const Network& network, const ThreatSet& set);

}  // namespace temblor
