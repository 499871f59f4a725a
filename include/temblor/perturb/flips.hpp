#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <temblor/formats/format.hpp>
#include <temblor/network/types.hpp>

namespace temblor {

/// How far flipped bits of the stored codes move the weights of one layer. With `t` flips in the code of one
/// weight its decoded value rises by at most up[0] + .. + up[t-1] of that weight, and falls by at most the
/// same sum of down. A level is never larger than the one before it. Infinite where a flip makes the value
/// infinite or no number.
struct FlipReach {
  std::vector<MatrixD> up;        ///< [levels], each [outputs x inputs], not negative
  std::vector<MatrixD> down;      ///< the same
  std::vector<MatrixD> either{};  ///< the larger of both
  /// Of the first level, each row's largest [outputs].
  VectorD largest_up{}, largest_down{}, largest_either{};

  std::size_t levels() const { return up.size(); }
  bool finite() const;
  /// Every move times `factor`.
  void scale(double factor);
};

/// For at most `flips` flips of the bits in `mask`, in any one code. Integer codes: a flip of bit b moves the
/// value by 2^b steps whatever the other bits are, so the levels are these moves, largest first, widened by
/// the rounding of (code - zero point) * step to float. Other formats: the largest mean move a flip over 1 ..
/// `flips` flips, found by trying every pattern (up to 16 bits), or from the order of floats: the extreme
/// value of one sign has its highest bits set.
FlipReach flip_reach(const Encoded& encoded, std::int64_t flips, std::uint32_t mask);

/// Why flip_reach has no answer for this format and number of flips; "" when it has.
std::string refuses_flips(const Format& format, std::int64_t flips);

}  // namespace temblor
