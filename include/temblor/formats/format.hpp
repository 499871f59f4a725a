#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <temblor/random/stream.hpp>

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
  std::string name;  ///< sign, exponent, mantissa, magnitude, integer, fraction, body
  int low;           ///< lowest bit
  int bits;          ///< how many
};

struct Encoded;

/// How the codes of a format follow one another: code + 1 is the next value up (sign_magnitude: the next one
/// away from 0).
enum class CodeOrder { sign_magnitude, twos_complement, offset };

/// Values of a tabulated format (posits), by code, and the limits between the positive ones.
struct CodeTable {
  std::vector<float> values;   ///< [2^bits]
  std::vector<double> limits;  ///< [2^(bits-1) - 1]: where rounding goes from code i to i + 1
};

/// A number format: one row of src/formats/table.cpp. Floats keep NaN payloads as far as they fit, signalling
/// or not, so that every code survives decode and encode. Decode takes ANY code of `bits` bits as it is,
/// -2^(b-1) too: nothing is clamped after a fault.
struct Format {
  std::string name;              ///< fp32, fp16, bf16, int8, int8-channel, ...
  std::string help;              ///< one line
  int bits;                      ///< stored bits a weight
  std::vector<BitField> fields;  ///< cover all bits once
  bool scaled;                   ///< has scale (and zero point) metadata
  std::string error_bound;       ///< in words: largest rounding error, e.g. "scale / 2"
  std::string range;             ///< in words: finite values that encode gives, as in "-448 to 448"
  /// Encodes weights [rows x cols] (row-major); rounding to nearest, ties to even; posits as their standard
  /// says. Values beyond the range overflow: to infinity for floats, as IEEE 754 says, to NaN for fp8-e4m3,
  /// which has no infinity; fixed point and posits saturate. Scaled formats take scale and zero point from
  /// these weights; they and fixed point need finite weights (internal error). Encoding decoded weights of
  /// the same format gives the same codes, except for affine formats, whose range may shrink and, within half
  /// a step of the largest float, may decode to infinity.
  Encoded (*encode)(const Format& format, std::span<const float> weights, std::size_t rows, std::size_t cols);
  /// The real value of one code, in the row of the weight.
  float (*decode)(const Encoded& encoded, std::uint32_t code, std::size_t row);
  /// The number behind `error_bound`: abs(decode(encode(w)) - w) of a finite weight w in that row never
  /// exceeds it; infinity for a weight out of range, however it was encoded.
  double (*rounding)(const Encoded& encoded, float weight, std::size_t row);
  /// Scaled formats: affine codes and zero points are two's complement, or count from 0 (CodeOrder::offset).
  CodeOrder order = CodeOrder::sign_magnitude;
  Quantiser quantiser{};                     ///< of scaled formats
  int fraction = 0;                          ///< of fixed point: bits behind the point
  std::shared_ptr<const CodeTable> table{};  ///< of posits
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
  /// What a device stores: the codes, a float32 for each scale, and zero points of as many bits as a code.
  std::uint64_t stored_bits() const {
    return (codes.size() + zero_point.size()) * static_cast<std::uint64_t>(format->bits) + 32 * scale.size();
  }
};

/// The listed formats. Others of the same kinds exist by name alone.
const std::vector<Format>& format_table();
/// By name: a row of the table, or one of a family: intB and uintB (B = 2 .. 16, with -affine and -channel as
/// in the table), qM.N (M + N = 1 .. 23), positN-E (N = 3 .. 16, E = 0 .. 3). One object a name, for ever.
/// Usage error with the nearest name otherwise.
const Format& find_format(std::string_view name);
std::string field_of(const Format& format, int bit);

/// Encodes with stochastic rounding: a weight between two values of the format becomes the upper one with
/// probability (w - lower) / (upper - lower), so that its expectation is w. Scale and zero point are those of
/// encode. Weights beyond the last value of the grid go to that value. Takes one uniform number a weight from
/// `stream`, in order; the error stays below the distance of the two values.
Encoded encode_stochastic(const Format& format, std::span<const float> weights, std::size_t rows,
                          std::size_t cols, Stream& stream);

}  // namespace temblor
