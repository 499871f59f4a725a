#pragma once

#include <deque>
#include <functional>
#include <span>
#include <vector>

#include <temblor/network/types.hpp>

namespace temblor {

/// Reverse-mode differentiation of a few matrix operations in double, for training signals that are made of
/// norms, intervals and products. Operations are recorded as they are computed; backward() then runs them in
/// reverse. Where a function has a kink, one subgradient is taken (each operation says which).
///
/// Batches are [images x units]; "pair" matrices have `classes` rows an image: row n * classes + j.
class Tape {
 public:
  using Var = std::size_t;

  Var leaf(MatrixD value);
  template <class Values>
  Var leaf_of(const Values& values) {
    return leaf(values.template cast<double>());
  }

  const MatrixD& value(Var x) const { return nodes_[x].value; }
  /// The gradient so far, zeros at first.
  MatrixD& gradient(Var x);
  /// Adds the gradients of sum(seed * result) to everything that `result` was computed from.
  void backward(Var result, const MatrixD& seed);

  Var product(Var x, Var w);  ///< x w^T
  Var transposed(Var a);
  Var sum(Var a, Var b);
  Var difference(Var a, Var b);
  Var times(Var a, Var b);  ///< element by element
  Var scaled(Var a, double by);
  Var shifted(Var a, double by);  ///< a + by, every element
  Var magnitude(Var a);           ///< abs(a); derivative 0 at 0
  Var positive(Var a);            ///< max(a, 0); derivative 0 at 0
  Var negative(Var a);            ///< min(a, 0); derivative 0 at 0
  Var sigmoid(Var a);
  Var smaller(Var a, Var b);     ///< min(a, b); on ties the derivative is a's
  Var larger(Var a, Var b);      ///< max(a, b); likewise
  Var row_sums(Var a);           ///< [rows x 1]
  Var add_column(Var a, Var c);  ///< a + c 1^T, c [rows x 1]
  Var add_row(Var a, Var r);     ///< a + 1 r, r [1 x columns]
  Var outer(Var c, Var s);       ///< c s, c [rows x 1] and s [1 x columns]
  Var largest_row_norm(Var w);   ///< norm_{1,inf}(w^T), [1 x 1]: the row with the lowest index on ties
  /// u / (u - l) where l < 0 < u, 1 where l >= 0, 0 elsewhere: the slope of the chord of ReLU on [l, u].
  Var chord(Var l, Var u);

  Var differences(Var w, std::span<const std::int32_t> labels);  ///< pairs: row (n, j) is w_label - w_j
  Var times_image(Var pairs, Var x);      ///< row (n, j) times row n of x, element by element
  Var dots(Var pairs, Var x);             ///< [images x classes]: row (n, j) dot row n of x
  Var folded(Var column, Index classes);  ///< [images * classes x 1] as [images x classes]

 private:
  using Pull = std::function<void(Tape& tape, const MatrixD& gradient)>;
  struct Node {
    MatrixD value;
    MatrixD gradient;
    Pull pull;
  };

  Var add(MatrixD value, Pull pull);
  /// Adds to the gradient of x; the first to come need not meet zeros.
  template <class Values>
  void accumulate(Var x, const Values& gradient) {
    MatrixD& total = nodes_[x].gradient;
    if (total.size() == 0) {
      total.noalias() = gradient;
    } else {
      total.noalias() += gradient;
    }
  }

  std::deque<Node> nodes_;
};

}  // namespace temblor
