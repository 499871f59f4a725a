#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace temblor {

/// Uniform quantisation to b bits (2..16), used by the int formats and by quantization-noise. Symmetric: step
/// = max|w| / (2^(b-1) - 1), codes in [-(2^(b-1)-1), 2^(b-1)-1]. Affine: step = (max(w,0) - min(w,0)) / (2^b
/// - 1), unsigned codes with the zero point round(-min(w,0) / step), which makes 0 exact. Per tensor, or per
/// row (output channel). A row of zeros has step 0 and stays zero.
///
/// The step is rounded to float; below the normal floats it is a power of two, so that half a step bounds the
/// error there too. Quantising symmetrically quantised weights changes nothing.
struct Quantiser {
  int bits = 8;
  bool affine = false;
  bool per_channel = false;

  /// step of every row [rows] (all equal when per tensor) and zero points [rows] (0 when symmetric)
  struct Grid {
    std::vector<float> step;
    std::vector<std::int32_t> zero_point;
  };
  /// Weights must be finite (internal error).
  Grid grid(std::span<const float> weights, std::size_t rows, std::size_t cols) const;
  /// Signed code of one finite weight (affine: unsigned code), saturated; to nearest, ties to even, of the
  /// exact quotient.
  std::int32_t code(float weight, float step, std::int32_t zero_point) const;
  /// (code - zero_point) * step in float arithmetic.
  static float value(std::int32_t code, float step, std::int32_t zero_point);
  /// abs(value(code(w)) - w) of a weight within the grid's range never exceeds this: half a step, and what
  /// rounding the step and the product to float adds (2^-24 each of at most 2^bits steps).
  double rounding(float step) const;

  std::int32_t least_code() const { return affine ? 0 : -most_code(); }
  std::int32_t most_code() const { return affine ? (1 << bits) - 1 : (1 << (bits - 1)) - 1; }
};

/// A named run of bits of a code; bit 0 is the least significant.
struct BitField {
  std::string name;  ///< sign, exponent, mantissa, or for integers sign, magnitude
  int low;           ///< lowest bit
  int bits;          ///< how many
};

struct Encoded;

/// A number format: one row of src/formats/table.cpp. Floats keep NaN payloads as far as they fit, signalling
/// or not, so that every code survives decode and encode. Integer codes are two's complement, and so are
/// their zero points, except for the uint formats; decode takes ANY code of `bits` bits as it is, -2^(b-1)
/// too: nothing is clamped after a fault.
struct Format {
  std::string name;              ///< fp32, fp16, bf16, int8, int8-channel, ...
  std::string help;              ///< one line
  int bits;                      ///< stored bits a weight
  std::vector<BitField> fields;  ///< cover all bits once
  bool scaled;                   ///< has scale (and zero point) metadata
  std::string error_bound;       ///< in words: largest rounding error, e.g. "scale / 2"
  double largest;                ///< largest finite value; +inf for scaled formats and fp32
  /// Encodes weights [rows x cols] (row-major); rounding to nearest, ties to even. Values beyond the range
  /// overflow to infinity for floats, as IEEE 754 says. Scaled formats take scale and zero point from these
  /// weights, which must be finite (internal error). Encoding decoded weights of the same format gives the
  /// same codes, except for affine formats, whose range may shrink and, within half a step of the largest
  /// float, may decode to infinity.
  Encoded (*encode)(const Format& format, std::span<const float> weights, std::size_t rows, std::size_t cols);
  /// The real value of one code, in the row of the weight.
  float (*decode)(const Encoded& encoded, std::uint32_t code, std::size_t row);
  /// The number behind `error_bound`: abs(decode(encode(w)) - w) of a finite weight w in that row never
  /// exceeds it.
  double (*rounding)(const Encoded& encoded, float weight, std::size_t row);
  Quantiser quantiser{};        ///< of scaled formats
  bool unsigned_codes = false;  ///< of scaled formats: codes and zero points from 0 to 2^b - 1
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

}  // namespace temblor
