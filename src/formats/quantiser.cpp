#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/formats/format.hpp>

namespace temblor {
namespace {

struct Range {
  double least = 0;
  double most = 0;
};

Range range_of(std::span<const float> weights) {
  Range range;
  for (const float weight : weights) {
    ensure(std::isfinite(weight), "a quantised weight is finite");
    range.least = std::min(range.least, static_cast<double>(weight));
    range.most = std::max(range.most, static_cast<double>(weight));
  }
  return range;
}

/// The float step of a grid whose `codes` steps reach `width`. Quotient of float-precision numbers in double:
/// correctly rounded to float.
float step_of(double width, std::int32_t codes) {
  if (width == 0) return 0;
  const auto n = static_cast<double>(codes);
  auto step = static_cast<float>(width / n);
  if (step < std::numeric_limits<float>::min()) {
    step = std::numeric_limits<float>::denorm_min();
    while (n * static_cast<double>(step) < width) step *= 2;
    return step;
  }
  // The largest code must not overflow where max|w| is the largest float.
  return std::isinf(static_cast<float>(codes) * step) ? std::nextafter(step, 0.0F) : step;
}

}  // namespace

Quantiser::Grid Quantiser::grid(std::span<const float> weights, std::size_t rows, std::size_t cols) const {
  ensure(bits >= 2 && bits <= 16, "a quantiser has 2 to 16 bits");
  ensure(weights.size() == rows * cols, "weights fill their rows");
  Grid result{std::vector<float>(rows), std::vector<std::int32_t>(rows)};
  const auto whole = per_channel ? Range{} : range_of(weights);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto [least, most] = per_channel ? range_of(weights.subspan(row * cols, cols)) : whole;
    const double width = affine ? most - least : std::max(most, -least);
    const float step = step_of(width, most_code());
    result.step[row] = step;
    if (affine && step > 0) {
      result.zero_point[row] = static_cast<std::int32_t>(std::nearbyint(-least / static_cast<double>(step)));
    }
  }
  return result;
}

std::int32_t Quantiser::code(float weight, float step, std::int32_t zero_point) const {
  if (step == 0) return zero_point;
  // Two floats' quotient is never so close to a tie that rounding it to double could make it one.
  const double quotient = std::nearbyint(static_cast<double>(weight) / static_cast<double>(step));
  return static_cast<std::int32_t>(
      std::clamp(quotient + zero_point, static_cast<double>(least_code()), static_cast<double>(most_code())));
}

float Quantiser::value(std::int32_t code, float step, std::int32_t zero_point) {
  return static_cast<float>(code - zero_point) * step;
}

double Quantiser::rounding(float step) const {
  return static_cast<double>(step) * (0.5 + std::ldexp(4.0, bits - 24));
}

}  // namespace temblor
