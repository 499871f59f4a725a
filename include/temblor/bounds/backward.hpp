#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <temblor/bounds/adversary.hpp>
#include <temblor/bounds/enclosure.hpp>

namespace temblor {

/// The lines that enclose relu(p) on [l, u], [cases x units] each: p * below <= relu(p) <= p * above +
/// offset. Any `below` in [0, 1] is sound where l < 0 < u; 1 where l >= 0; 0 where u <= 0.
struct Lines {
  MatrixD below;
  MatrixD above;
  MatrixD offset;
};

/// Lines of given limits; below is 1 where u >= -l and 0 elsewhere.
Lines enclosing_lines(const Interval& p);

/// One row of forms to start with: sign * p_unit of a case.
struct UnitRow {
  Index at;  ///< case
  Index unit;
  double sign;  ///< 1 or -1
};

/// What is known of a batch of cases, layer by layer. A case is an image, or one subproblem of an image: then
/// several cases share an image and differ in the limits of some units.
struct Cases {
  std::vector<Interval> limits;  ///< hidden pre-activations [cases x units]
  std::vector<Lines> lines;  ///< of these limits; below may be set to any slope in [0, 1] for unstable units

  /// The image and hidden layer 0 where that layer's pre-activations do not fill a box; empty otherwise, and
  /// never needed for soundness. One row a case, as in `limits`.
  struct First {
    Interval boxes;         ///< p^0 that the boxes alone reach [cases x units]; empty where the image moves
    Interval image;         ///< [cases x inputs]; empty where it does not move
    MatrixD largest;        ///< abs(x) [cases x inputs]
    VectorD norm;           ///< ||x||_2, or ||(x, 1)||_2
    bool positive = false;  ///< no x is negative
  };
  std::optional<First> first{};

  Index count() const { return limits.front().lower.rows(); }
  /// limit <= row.sign * p of that unit of layer m: takes it where it is tighter. Lines stay.
  void narrow(std::size_t m, const UnitRow& row, double limit);
  /// Sets lines[m] from limits[m].
  void draw(std::size_t m) { lines[m] = enclosing_lines(limits[m]); }
};

/// Choices of a single row of forms, in place of its case's. Each vector is empty, or has one matrix [rows x
/// units] a hidden layer, and a matrix may be empty. Hidden layer 0 needs none: its units are independent and
/// exact.
struct RowChoices {
  /// Slopes of the lower lines. The caller keeps to [0, 1], to 1 where l >= 0 and to 0 where u <= 0.
  std::vector<MatrixD> below;
  /// Added to the coefficients on pre-activations: multipliers of the constraints that make a case (beta of
  /// Wang et al., NeurIPS 2021). The minimum stays a lower limit of the case where shift <= 0 if the case
  /// says p >= 0, shift >= 0 if it says p <= 0, and 0 elsewhere.
  std::vector<MatrixD> shift;
};

/// The coefficients that a backward pass went through, [rows x units] each, one a hidden layer.
struct Trace {
  std::vector<MatrixD> v;  ///< on activations z^m
  std::vector<MatrixD> a;  ///< on pre-activations p^m: where a > 0 the adversary makes p small
};

/// The backward pass of theory, section 4, on a chain of dense layers with ReLU between them. Hidden layers
/// are counted from 0; layer m is W^m, whose outputs are p^m; hidden() is the number of the last layer, whose
/// outputs are the logits. Since an image is known, the pre-activations of layer 0 fill their box [l, u]
/// independently of each other, and z^0 fills [max(l, 0), max(u, 0)]: the pass ends there, without lines.
/// What depends on the network and the threat set alone is made once; const functions may run in parallel.
class Backward {
 public:
  explicit Backward(const BoxProblem& problem);

  std::size_t hidden() const { return layers_.size() - 1; }
  Index units(std::size_t m) const { return layers_[m].weight.rows(); }  ///< of p^m
  const MatrixD& weight(std::size_t m) const { return layers_[m].weight; }
  const VectorD& bias(std::size_t m) const { return layers_[m].bias; }  ///< [outputs], 0 where there is none

  /// Hidden limits and lines of a block of images, as the enclosures have them.
  Cases cases(const Network& network, const Enclosures& enclosures) const;

  /// Forms on z^{m-1} (m > 0) below sign * p_unit of layer m.
  Forms unit_forms(std::size_t m, const std::vector<UnitRow>& rows, const Cases& cases) const;
  /// Forms on the last hidden layer's z below c^T f, c the rows of `logits` [rows x classes].
  Forms logit_forms(const MatrixD& logits, std::vector<Index> at, const Cases& cases) const;

  /// Lower limits of forms on z^layer, over every network of the set and every activation within the cases'
  /// limits: [rows], rounded outward. The forms are used up.
  VectorD minimum(Forms& forms, std::size_t layer, const Cases& cases, const RowChoices* choices = nullptr,
                  Trace* trace = nullptr) const;

  /// The point at which the relaxed problem of a traced pass attains its minimum: p^0 .. p^layer, [rows x
  /// units]. Derivatives of minimum(): by shift of layer m > 0, p^m; by a lower slope, max(v^m, 0) * p^m. No
  /// care for rounding.
  std::vector<MatrixD> minimiser(const Trace& trace, const std::vector<Index>& at, const Cases& cases,
                                 const RowChoices* choices = nullptr) const;

  /// Units of hidden layer m whose sign is open, both sides each: what tighten() would bound.
  std::vector<UnitRow> open_units(std::size_t m, const Cases& cases) const;
  /// Whether limits of layer m from interval propagation are already what this pass can find: layer 0, and
  /// layer 1 against boxes.
  bool interval_exact(std::size_t m) const { return m == 0 || (m == 1 && boxes_); }
  /// Replaces the limits of the open units of hidden layer m by those of this pass, where tighter, and
  /// redraws the lines. Layers before m must have their lines.
  void tighten(std::size_t m, Cases& cases) const;

 private:
  struct LinearLayer {
    MatrixD weight;  ///< [outputs x inputs]
    VectorD bias;    ///< [outputs]
    std::vector<std::shared_ptr<const Adversary>> adversaries;
  };

  void relax(Forms& forms, std::size_t m, const Cases& cases, const RowChoices* choices) const;
  /// From coefficients on p^m to forms on z^{m-1}.
  void step(Forms& forms, std::size_t m, const Cases& cases) const;
  VectorD close(const Forms& forms, const Cases& cases) const;
  /// Through hidden layer 0 to the image: better than close() where the units of that layer do not move
  /// independently.
  VectorD close_at_image(Forms& forms, const Cases& cases) const;
  /// `signs`: the inputs are not negative, `largest` their upper limits.
  void add_losses(const MatrixD& a, std::size_t m, const MatrixD& largest, bool signs, Forms& forms) const;
  /// Limits of the inputs z^{m-1} of layer m.
  Interval inputs(std::size_t m, const Cases& cases) const;

  std::vector<LinearLayer> layers_;
  Moves moves_;
  std::optional<Radius> first_box_;
  bool boxes_ = true;  ///< nothing moves but boxes around parameters
  Index widest_ = 0;
};

}  // namespace temblor
