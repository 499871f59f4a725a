#include "sparse.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <temblor/base/error.hpp>

namespace temblor::pgd {
namespace {

constexpr std::size_t lanes = 8;
using Lanes __attribute__((vector_size(lanes * sizeof(float)))) = float;

/// One panel of c += a b with `Vectors` registers a row: enough sums in flight to hide the latency of the
/// fused multiply-add, while a tile of b stays in the first-level cache.
template <std::size_t Vectors>
void add_tile(const SparseTiles& a, Index tile, const float* b, float* c) {
  const std::uint32_t* begin = a.begin.data() + tile * a.rows;
  for (Index row = 0; row < a.rows; ++row, c += Panels::width) {
    std::array<Lanes, Vectors> sum;
    std::memcpy(sum.data(), c, sizeof sum);
    for (std::uint32_t e = begin[row]; e < begin[row + 1]; ++e) {
      const float* from = b + static_cast<std::size_t>(a.column[e]) * Panels::width;
      const float factor = a.value[e];
      for (std::size_t v = 0; v < Vectors; ++v) {
        Lanes lane;
        std::memcpy(&lane, from + v * lanes, sizeof lane);
        sum[v] += factor * lane;
      }
    }
    std::memcpy(c, sum.data(), sizeof sum);
  }
}

using AddTile = void (*)(const SparseTiles&, Index, const float*, float*);
constexpr std::array<AddTile, 8> add_tiles = {add_tile<1>, add_tile<2>, add_tile<3>, add_tile<4>,
                                              add_tile<5>, add_tile<6>, add_tile<7>, add_tile<8>};

}  // namespace

SparseTiles sparse_tiles(const Matrix& matrix, Index tile) {
  ensure(tile >= 1 && tile <= 256, "a sparse tile has 1 to 256 columns");
  SparseTiles result;
  result.rows = matrix.rows();
  result.columns = matrix.cols();
  result.tile = tile;
  result.begin.reserve(static_cast<std::size_t>(result.tiles() * result.rows + 1));
  // Written without a branch on the value: about half of the pixels are zero, in no order a predictor can
  // learn.
  result.column.resize(static_cast<std::size_t>(matrix.size()));
  result.value.resize(static_cast<std::size_t>(matrix.size()));
  std::size_t used = 0;
  for (Index t = 0; t < result.tiles(); ++t) {
    const Index first = t * tile;
    const Index count = std::min(tile, matrix.cols() - first);
    for (Index row = 0; row < matrix.rows(); ++row) {
      result.begin.push_back(static_cast<std::uint32_t>(used));
      const float* values = matrix.data() + row * matrix.cols() + first;
      for (Index k = 0; k < count; ++k) {
        result.column[used] = static_cast<std::uint8_t>(k);
        result.value[used] = values[k];
        used += values[k] != 0.0F ? 1U : 0U;
        if (used == result.value.size()) break;
      }
    }
  }
  result.begin.push_back(static_cast<std::uint32_t>(used));
  result.column.resize(used);
  result.value.resize(used);
  result.column.shrink_to_fit();
  result.value.shrink_to_fit();
  return result;
}

SparseTiles sparse_transposed(const Matrix& matrix) {
  const Matrix transposed = matrix.transpose();
  return sparse_tiles(transposed, std::max<Index>(1, transposed.cols()));
}

void Panels::resize(Index new_rows, Index new_columns) {
  rows = new_rows;
  columns = new_columns;
  values.resize(count() * rows * width);
}

void pack(const Matrix& matrix, Panels& panels) {
  panels.resize(matrix.rows(), matrix.cols());
  for (Index p = 0; p < panels.count(); ++p) {
    const Index first = p * Panels::width;
    const Index count = std::min(Panels::width, matrix.cols() - first);
    float* to = panels.panel(p);
    for (Index row = 0; row < matrix.rows(); ++row, to += Panels::width) {
      std::copy_n(matrix.data() + row * matrix.cols() + first, count, to);
      std::fill(to + count, to + Panels::width, 0.0F);
    }
  }
}

void pack_transposed(const Matrix& matrix, Panels& panels) {
  panels.resize(matrix.cols(), matrix.rows());
  for (Index p = 0; p < panels.count(); ++p) {
    const Index first = p * Panels::width;
    const Index count = std::min(Panels::width, matrix.rows() - first);
    Eigen::Map<Matrix> to(panels.panel(p), panels.rows, Panels::width);
    to.leftCols(count) = matrix.middleRows(first, count).transpose();
    to.rightCols(Panels::width - count).setZero();
  }
}

void unpack(const Panels& panels, Matrix& matrix) {
  matrix.resize(panels.rows, panels.columns);
  for (Index p = 0; p < panels.count(); ++p) {
    const Index first = p * Panels::width;
    const Index count = std::min(Panels::width, panels.columns - first);
    const float* from = panels.panel(p);
    for (Index row = 0; row < panels.rows; ++row, from += Panels::width) {
      std::copy_n(from, count, matrix.data() + row * panels.columns + first);
    }
  }
}

void unpack_transposed(const Panels& panels, Matrix& matrix) {
  matrix.resize(panels.columns, panels.rows);
  for (Index p = 0; p < panels.count(); ++p) {
    const Index first = p * Panels::width;
    const Index count = std::min(Panels::width, panels.columns - first);
    const Eigen::Map<const Matrix> from(panels.panel(p), panels.rows, Panels::width);
    matrix.middleRows(first, count) = from.leftCols(count).transpose();
  }
}

void multiply_add(const SparseTiles& a, const Panels& b, Panels& c) {
  ensure(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns,
         "sparse product has matching shapes");
  for (Index t = 0; t < a.tiles(); ++t) {
    for (Index p = 0; p < b.count(); ++p) {
      const Index count = std::min(Panels::width, b.columns - p * Panels::width);
      const auto vectors = static_cast<std::size_t>((count + Index{lanes} - 1) / Index{lanes});
      add_tiles[vectors - 1](a, t, b.panel(p) + t * a.tile * Panels::width, c.panel(p));
    }
  }
}

}  // namespace temblor::pgd
