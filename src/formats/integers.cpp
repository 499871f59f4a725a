#include "rows.hpp"

#include <algorithm>

#include <temblor/base/error.hpp>

namespace temblor::formats {
namespace {

/// What is taken from the quantiser's unsigned affine codes and zero points to make them two's complement.
std::int32_t offset(const Format& format) {
  return format.quantiser.affine && format.order == CodeOrder::twos_complement ? 1 << (format.bits - 1) : 0;
}

std::uint32_t mask(const Format& format) {
  return (1U << static_cast<unsigned>(format.bits)) - 1U;
}

Encoded encode(const Format& format, std::span<const float> weights, std::size_t rows, std::size_t cols) {
  const Quantiser& quantiser = format.quantiser;
  const auto grid = quantiser.grid(weights, rows, cols);
  Encoded encoded{&format, rows, cols, {}, grid.step, {}};
  if (quantiser.affine) {
    for (const std::int32_t zero : grid.zero_point) encoded.zero_point.push_back(zero - offset(format));
  }
  encoded.codes.reserve(weights.size());
  for (std::size_t row = 0; row < rows; ++row) {
    for (const float weight : weights.subspan(row * cols, cols)) {
      const auto code = quantiser.code(weight, grid.step[row], grid.zero_point[row]) - offset(format);
      encoded.codes.push_back(static_cast<std::uint32_t>(code) & mask(format));
    }
  }
  if (!quantiser.per_channel) {
    encoded.scale.resize(std::min<std::size_t>(rows, 1));
    encoded.zero_point.resize(quantiser.affine ? encoded.scale.size() : 0);
  }
  return encoded;
}

float decode(const Encoded& encoded, std::uint32_t code, std::size_t row) {
  const Format& format = *encoded.format;
  const std::size_t entry = format.quantiser.per_channel ? row : 0;
  const std::uint32_t sign =
      format.order == CodeOrder::offset ? 0U : 1U << static_cast<unsigned>(format.bits - 1);
  const auto number = static_cast<std::int32_t>(((code & mask(format)) ^ sign) - sign);
  return Quantiser::value(number, encoded.scale[entry],
                          encoded.zero_point.empty() ? 0 : encoded.zero_point[entry]);
}

double rounding(const Encoded& encoded, float /*weight*/, std::size_t row) {
  const Quantiser& quantiser = encoded.format->quantiser;
  return quantiser.rounding(encoded.scale[quantiser.per_channel ? row : 0]);
}

}  // namespace

Format integer(const Quantiser& quantiser, bool unsigned_codes) {
  const int bits = quantiser.bits;
  ensure(quantiser.affine || !unsigned_codes, "unsigned codes have a zero point");
  const std::string owner = quantiser.per_channel ? "an output channel" : "a layer";
  Format format;
  format.name = (unsigned_codes ? "uint" : "int") + std::to_string(bits);
  if (quantiser.affine && !unsigned_codes) format.name += "-affine";
  if (quantiser.per_channel) format.name += "-channel";
  format.help = unsigned_codes ? "unsigned" : "two's complement";
  if (quantiser.affine) {
    format.help += " with zero point, one scale " + owner + ": scale = (max - min) / ";
  } else {
    format.help += ", symmetric, one scale " + owner + ": scale = max|w|";
    if (quantiser.most_code() > 1) format.help += " / ";
  }
  if (quantiser.most_code() > 1) format.help += std::to_string(quantiser.most_code());
  format.bits = bits;
  format.fields = {{"magnitude", 0, bits}};
  if (!unsigned_codes) format.fields = {{"sign", bits - 1, 1}, {"magnitude", 0, bits - 1}};
  format.scaled = true;
  format.error_bound = std::string(quantiser.per_channel ? "scale of the channel" : "scale") + " (1/2 + 2^-" +
                       std::to_string(22 - bits) + ")";
  const std::int32_t most = quantiser.most_code();
  format.range = "-" + std::to_string(most) + " to " + std::to_string(most) + ", times scale";
  if (quantiser.affine) format.range = "min to max, " + std::to_string(most + 1) + " values, one of them 0";
  format.encode = encode;
  format.decode = decode;
  format.rounding = rounding;
  format.quantiser = quantiser;
  format.order = unsigned_codes ? CodeOrder::offset : CodeOrder::twos_complement;
  return format;
}

}  // namespace temblor::formats
