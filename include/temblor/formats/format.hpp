#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace temblor {

/// A named run of bits of a code; bit 0 is the least significant.
struct BitField {
  std::string name;  ///< sign, exponent, mantissa, or for integers sign, magnitude
  int low;           ///< lowest bit
  int bits;          ///< how many
};

struct Encoded;

/// A number format: one row of src/formats/table.cpp.
struct Format {
  std::string name;              ///< fp32, fp16, bf16, int8, int8-channel, ...
  std::string help;              ///< one line
  int bits;                      ///< stored bits a weight
  std::vector<BitField> fields;  ///< cover all bits once
  bool scaled;                   ///< has scale (and zero point) metadata
  std::string error_bound;       ///< in words: largest rounding error, e.g. "scale / 2"
  /// Encodes weights [rows x cols] (row-major); rounding to nearest, ties to even. Values beyond the range
  /// saturate for integers and overflow to infinity for floats, as IEEE 754 says.
  Encoded (*encode)(const Format& format, std::span<const float> weights, std::size_t rows, std::size_t cols);
  /// The real value of one code, in the row of the weight.
  float (*decode)(const Encoded& encoded, std::uint32_t code, std::size_t row);
};

/// Stored codes of one layer's weights.
struct Encoded {
  const Format* format = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::vector<std::uint32_t> codes;      ///< [rows * cols], low `bits` bits used
  std::vector<float> scale;              ///< empty, 1, or rows entries
  std::vector<std::int32_t> zero_point;  ///< empty (symmetric), 1, or rows entries

  float decode(std::size_t index) const { return format->decode(*this, codes[index], index / cols); }
  float decode(std::size_t index, std::uint32_t code) const {
    return format->decode(*this, code, index / cols);
  }
};

const std::vector<Format>& format_table();
/// By name; usage error with the nearest name otherwise.
const Format& find_format(std::string_view name);
std::string field_of(const Format& format, int bit);

/// Uniform quantisation to b bits, used by the int formats and by quantization-noise. Symmetric: step =
/// max|w| / (2^(b-1) - 1), codes in [-(2^(b-1)-1), 2^(b-1)-1]. Affine: step = (max(w,0) - min(w,0)) / (2^b -
/// 1), unsigned codes with the zero point that makes 0 exact. Per tensor, or per row (output channel). A row
/// of zeros has step 0 and stays zero.
struct Quantiser {
  int bits = 8;
  bool affine = false;
  bool per_channel = false;

  /// step of every row [rows] (all equal when per tensor) and zero points [rows] (0 when symmetric)
  struct Grid {
    std::vector<float> step;
    std::vector<std::int32_t> zero_point;
  };
  Grid grid(std::span<const float> weights, std::size_t rows, std::size_t cols) const;
  /// Signed code of one weight (affine: unsigned code), saturated; to nearest, ties to even.
  std::int32_t code(float weight, float step, std::int32_t zero_point) const;
  /// (code - zero_point) * step in float arithmetic.
  static float value(std::int32_t code, float step, std::int32_t zero_point);
};

}  // namespace temblor
