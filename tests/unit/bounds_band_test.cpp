#include <algorithm>

#include <catch2/catch.hpp>

#include <temblor/bounds/graph_backward.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;

namespace {

struct Example {
  std::string kind;
  LayerOptions options;
};

Interval random_limits(Index images, Index units, Stream& stream) {
  Interval limits{MatrixD(images, units), MatrixD(images, units)};
  for (Index i = 0; i < limits.lower.size(); ++i) {
    const double a = 2 * stream.normal();
    const double b = stream.below(8) == 0 ? a : 2 * stream.normal();
    limits.lower.data()[i] = std::min(a, b);
    limits.upper.data()[i] = std::max(a, b);
  }
  return limits;
}

}  // namespace

TEST_CASE("bands enclose their activations and touch them") {
  const std::vector<Example> examples{{"relu", {}},
                                      {"leaky-relu", {{"slope", {0.125}}}},
                                      {"leaky-relu", {{"slope", {0}}}},
                                      {"leaky-relu", {{"slope", {1}}}},
                                      {"clip", {{"low", {0}}, {"high", {1}}}},
                                      {"clip", {{"low", {-0.75}}, {"high", {0.5}}}}};
  Stream stream(7, {});
  for (const auto& example : examples) {
    const auto layer = make_layer(example.kind, example.options);
    const Shape shape{{400}};
    const Interval limits = random_limits(1, 400, stream);
    const Band band = enclosing_band(*layer, shape, limits);
    REQUIRE(has_band(*layer));
    for (Index i = 0; i < 400; ++i) {
      const double l = limits.lower(0, i);
      const double u = limits.upper(0, i);
      double room_below = 1e300, room_above = 1e300;
      for (int t = 0; t <= 64; ++t) {
        const double p = t == 64 ? u : l + (u - l) * t / 64.0;
        Interval out;
        const Interval point{MatrixD::Constant(1, 1, p), MatrixD::Constant(1, 1, p)};
        const Interval* in = &point;
        layer->interval({&in, 1}, nullptr, nullptr, out);
        const double low = band.below(0, i) * p + band.below_offset(0, i);
        const double high = band.above(0, i) * p + band.above_offset(0, i);
        INFO(example.kind << " on [" << l << ", " << u << "] at " << p);
        REQUIRE(low <= out.upper(0, 0) + 1e-15 * std::abs(p));
        REQUIRE(high >= out.lower(0, 0) - 1e-15 * std::abs(p));
        room_below = std::min(room_below, out.upper(0, 0) - low);
        room_above = std::min(room_above, high - out.lower(0, 0));
      }
      REQUIRE(room_above < 1e-12);
      REQUIRE(room_below < 0.2);
    }
  }
}

TEST_CASE("the band of a maximum pool encloses it, and is exact where one cell is the largest") {
  const Shape shape{{2, 4, 5}};
  const LayerOptions options{{"kernel", {2, 3}}, {"stride", {2, 1}}, {"padding", {0, 1, 0, 0}}};
  const std::shared_ptr<const Layer> layer =
      make_layer("max-pool", options)->placed(std::vector<Shape>{shape});
  Stream stream(8, {});
  const Interval limits = random_limits(6, shape.size(), stream);
  const Band band = enclosing_band(*layer, shape, limits);
  int exact = 0;
  for (int t = 0; t < 300; ++t) {
    MatrixD z = limits.lower;
    for (Index i = 0; i < z.size(); ++i)
      z.data()[i] += (limits.upper.data()[i] - z.data()[i]) *
                     (t < 100 ? stream.uniform() : static_cast<double>(stream.below(2)));
    Interval out;
    const Interval point{z, z};
    const Interval* in = &point;
    layer->interval({&in, 1}, nullptr, nullptr, out);
    for (Index n = 0; n < z.rows(); ++n) {
      for (Index i = 0; i < out.lower.cols(); ++i) {
        const double p = z(n, band.cell[static_cast<std::size_t>(n * out.lower.cols() + i)]);
        REQUIRE(band.below(n, i) * p + band.below_offset(n, i) <= out.lower(n, i));
        REQUIRE(band.above(n, i) * p + band.above_offset(n, i) >= out.lower(n, i) - 1e-12);
        if (band.above(n, i) == 1 && band.above_offset(n, i) == 0) {
          REQUIRE(p == out.lower(n, i));
          ++exact;
        }
      }
    }
  }
  CHECK(exact > 0);
}
