#include <cmath>
#include <optional>

#include <temblor/base/error.hpp>
#include <temblor/formats/format.hpp>

namespace temblor {
namespace {

/// The code of the next value up or down; none where `code` is the last one that encode gives.
std::optional<std::uint32_t> neighbour(const Format& format, std::uint32_t code, bool up) {
  const std::uint32_t sign = 1U << static_cast<unsigned>(format.bits - 1);
  const std::uint32_t mask = sign | (sign - 1U);
  switch (format.order) {
    case CodeOrder::sign_magnitude: {
      const bool negative = (code & sign) != 0;
      if ((code & ~sign) == 0) return up ? 1U : sign | 1U;
      return negative == up ? code - 1U : code + 1U;
    }
    case CodeOrder::twos_complement: {
      const bool symmetric = format.scaled && !format.quantiser.affine;
      if (code == (up ? sign - 1U : sign + (symmetric ? 1U : 0U))) return std::nullopt;
      return (up ? code + 1U : code - 1U) & mask;
    }
    case CodeOrder::offset:
      if (code == (up ? mask : 0U)) return std::nullopt;
      return up ? code + 1U : code - 1U;
  }
  internal_error("an unknown order of codes");
}

}  // namespace

Encoded encode_stochastic(const Format& format, std::span<const float> weights, std::size_t rows,
                          std::size_t cols, Stream& stream) {
  Encoded encoded = format.encode(format, weights, rows, cols);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double draw = stream.uniform();
    const auto weight = static_cast<double>(weights[i]);
    const auto nearest = static_cast<double>(encoded.decode(i));
    if (nearest == weight || !std::isfinite(nearest)) continue;
    const auto code = neighbour(format, encoded.codes[i], nearest < weight);
    if (!code) continue;
    const auto other = static_cast<double>(encoded.decode(i, *code));
    const double share = (weight - nearest) / (other - nearest);
    if (std::isfinite(other) && draw < share) encoded.codes[i] = *code;
  }
  return encoded;
}

}  // namespace temblor
