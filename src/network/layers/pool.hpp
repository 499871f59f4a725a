#pragma once

#include "options.hpp"

#include <cstdint>

namespace temblor {

inline Shape pooled(const Sliding& sliding) {
  return {{sliding.channels(), sliding.rows(), sliding.columns()}};
}

/// The cells of each position's window that lie within the image.
class PoolCells {
 public:
  PoolCells() = default;
  /// Bad-input error where a window lies in the padding altogether.
  explicit PoolCells(const Sliding& sliding)
      : channels_(sliding.channels()),
        plane_(sliding.height() * sliding.width()),
        positions_(sliding.positions()) {
    constexpr double most =
        0x1p25;  // far beyond any picture: a few bytes of a file must not ask for gigabytes
    if (static_cast<double>(sliding.positions()) * static_cast<double>(sliding.taps()) > most)
      input_error("a pooling layer's windows have more than 2^25 cells", "", "use smaller windows or images");
    const auto [kernel_rows, kernel_columns] = sliding.window().kernel;
    for (Index row = 0; row < sliding.rows(); ++row) {
      for (Index column = 0; column < sliding.columns(); ++column) {
        for (Index t = 0; t < kernel_rows * kernel_columns; ++t) {
          const Index y = sliding.image_row(row, t / kernel_columns);
          const Index x = sliding.image_column(column, t % kernel_columns);
          if (y >= 0 && y < sliding.height() && x >= 0 && x < sliding.width())
            cells_.push_back(static_cast<std::int32_t>(y * sliding.width() + x));
        }
        if (static_cast<Index>(cells_.size()) == first_.back())
          input_error("a pooling window lies in the padding altogether", "", "use less padding");
        full_ = full_ && static_cast<Index>(cells_.size()) == first_.back() + sliding.taps();
        first_.push_back(static_cast<Index>(cells_.size()));
      }
    }
  }

  /// Whether every window lies within the image.
  bool full() const { return full_; }
  Index outputs() const { return channels_ * positions_; }

  /// visit(first value of the plane, output, cells of the plane) for every image, channel and position.
  template <class Visit>
  void each(Index images, const Visit& visit) const {
    for (Index plane = 0; plane < images * channels_; ++plane) {
      for (Index p = 0; p < positions_; ++p) {
        const auto at = static_cast<std::size_t>(p);
        visit(plane * plane_, plane * positions_ + p,
              std::span(cells_).subspan(static_cast<std::size_t>(first_[at]),
                                        static_cast<std::size_t>(first_[at + 1] - first_[at])));
      }
    }
  }

 private:
  bool full_ = true;
  Index channels_ = 0;
  Index plane_ = 0;
  Index positions_ = 0;
  std::vector<std::int32_t> cells_;
  std::vector<Index> first_{0};  ///< of each position, and the end
};

}  // namespace temblor
