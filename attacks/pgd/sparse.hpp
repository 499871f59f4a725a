#pragma once

#include <cstdint>
#include <vector>

#include <temblor/network/types.hpp>

namespace temblor::pgd {

/// A matrix [rows x columns] without its zeros, in tiles of at most 256 columns: the operand that stays the
/// same over all steps (images whose pixels are mostly background, activations after a ReLU).
struct SparseTiles {
  Index rows = 0;
  Index columns = 0;
  Index tile = 0;  ///< columns a tile
  std::vector<std::uint32_t>
      begin;  ///< [tiles * rows + 1]: entries of row r in tile t start at begin[t * rows + r]
  std::vector<std::uint8_t> column;  ///< within the tile
  std::vector<float> value;

  Index tiles() const { return (columns + tile - 1) / tile; }
};

SparseTiles sparse_tiles(const Matrix& matrix, Index tile);
/// The same of the transposed matrix, in one tile (at most 256 rows).
SparseTiles sparse_transposed(const Matrix& matrix);

/// A dense matrix [rows x columns] in panels of 64 columns, each [rows x 64], zero-padded: one panel row is
/// eight vector registers.
struct Panels {
  static constexpr Index width = 64;
  Index rows = 0;
  Index columns = 0;
  Eigen::Matrix<float, Eigen::Dynamic, 1> values;

  void resize(Index new_rows, Index new_columns);
  Index count() const { return (columns + width - 1) / width; }
  float* panel(Index p) { return values.data() + p * rows * width; }
  const float* panel(Index p) const { return values.data() + p * rows * width; }
};

/// panels = matrix, or its transposed.
void pack(const Matrix& matrix, Panels& panels);
void pack_transposed(const Matrix& matrix, Panels& panels);
void unpack(const Panels& panels, Matrix& matrix);
/// matrix [columns x rows] = panels^T
void unpack_transposed(const Panels& panels, Matrix& matrix);

/// c += a b. Entries of a row are added in column order.
void multiply_add(const SparseTiles& a, const Panels& b, Panels& c);

}  // namespace temblor::pgd
