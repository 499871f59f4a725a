#pragma once

#include "block.hpp"
#include "dense_end.hpp"

#include <vector>

namespace temblor::census {

/// How the logits of a block's images hang on the inputs of the network's dense end (theory, section 11): the
/// linear part, and what units that cross 0 may add to it.
class Sensitivity {
 public:
  Sensitivity(const Network& network, const DenseEnd& end, const ImageBlock& block);

  /// One hidden layer of the end.
  struct Hidden {
    const Matrix* before = nullptr;  ///< golden outputs of the dense layer [images x units]
    const Matrix* weight = nullptr;
    MatrixD size;  ///< abs of the weights of the layer above
    /// [images][classes x units]: lead of the golden prediction over each class, by the output of each unit
    /// whether or not it is active.
    std::vector<Matrix> lead;
  };

  const Network& end() const { return *end_; }
  const ImageBlock& block() const { return *block_; }
  const std::vector<Hidden>& hidden() const { return hidden_; }
  Index classes() const { return end_->classes(); }
  int source() const { return source_; }
  /// False where golden sums are so large that changes could overflow.
  bool usable() const { return usable_; }

  /// The linear part for inputs [first, first + count): [classes x count], d(lead of the golden prediction
  /// over each class) / d(input).
  void linear(Index image, Index first, Index count, MatrixD& out) const;
  /// Largest sum of absolute paths from an input to a logit.
  const VectorD& reach() const { return reach_; }
  /// No sum of the end changes by more than this times the largest sum of changes of its inputs.
  double growth() const { return growth_; }
  /// Rounding of the end in the golden run and a faulty one: logits are off by at most
  /// fixed(image) + growing() * sum over inputs of reach * |change|.
  double fixed(Index image) const { return fixed_[static_cast<std::size_t>(image)]; }
  double growing() const { return growing_; }

  /// Margin for the label minus that after the inputs [first, first + count) change by `change`, in double,
  /// exact but for double rounding.
  double drop(Index image, Index first, const VectorD& change) const;

 private:
  void add_rounding();

  const Network* end_;
  const ImageBlock* block_;
  int source_;
  bool usable_ = true;
  std::vector<const Matrix*> weights_;  ///< of every layer of the end
  std::vector<MatrixD> wide_;           ///< the same in double
  std::vector<const Matrix*> inputs_;   ///< golden, of every layer
  std::vector<const Matrix*> before_;   ///< golden outputs of every layer
  std::vector<const Vector*> biases_;
  std::vector<Hidden> hidden_;
  VectorD reach_;
  double growth_ = 1;
  std::vector<double> fixed_;
  double growing_ = 0;
};

/// Sums of the magnitudes of the partial sums of dense layers, [units], for one row of inputs; every step
/// counts.
VectorD paths(const Matrix& weight, const Vector& bias, const float* input);

}  // namespace temblor::census
