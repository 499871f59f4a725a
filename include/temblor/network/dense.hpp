#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <temblor/network/types.hpp>

namespace temblor {

/// A row-major batch that need not be contiguous: row r is data + (rows ? rows[r] : r) * stride.
struct RowsView {
  const float* data = nullptr;
  Index stride = 0;
  const std::int32_t* rows = nullptr;

  const float* row(Index r) const { return data + (rows != nullptr ? rows[r] : r) * stride; }
};

/// Weights of a dense layer, or of some of its units, in the order in which the kernel reads them.
///
/// The one arithmetic of dense layers: p_i = (..((b_i + w_i0 z_0) + w_i1 z_1) + ..), float32, inputs in index
/// order, one fused multiply-add a term where the machine has it. Each output depends on its own row and unit
/// alone, not on the batch around it or on the blocking, so any subset of images and units can be recomputed
/// bit for bit; a general matrix product promises no such thing. IEEE 754 throughout: no term is skipped.
class PackedDense {
 public:
  /// Memory is reused when the object is packed again. weight [outputs x inputs], bias [outputs] or empty.
  void pack(const Matrix& weight, const Vector& bias);
  /// Only these units (rows of the matrix); output c of the result is unit units[c].
  void pack(const Matrix& weight, const Vector& bias, std::span<const Index> units);

  /// Replaces one weight of what is packed.
  void set(Index output, Index input, float value);

  Index outputs() const { return outputs_; }
  Index inputs() const { return inputs_; }

  /// out[r * out_stride + i] for r < count: `in` [count x inputs]; out_stride >= outputs. No allocation.
  void multiply(const RowsView& in, Index count, float* out, Index out_stride) const;

 private:
  void reserve(Index outputs, Index inputs);

  Index outputs_ = 0;
  Index inputs_ = 0;
  std::vector<float> panels_;  ///< [panel][input][lanes], padded with zeros
  std::vector<float> bias_;    ///< [panel][lanes]
};

}  // namespace temblor
