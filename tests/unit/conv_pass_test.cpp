#include "../../src/network/conv_pass.hpp"

#include <cmath>
#include <random>

#include <catch2/catch.hpp>

using namespace temblor;

namespace {

/// Random values, some 0, a few not finite.
std::vector<float> values(std::mt19937_64& generator, std::size_t count) {
  std::uniform_real_distribution<float> real(-1, 1);
  std::vector<float> made(count);
  for (float& value : made) value = generator() % 4 == 0 ? 0.0F : real(generator);
  if (generator() % 3 == 0) made[generator() % count] = HUGE_VALF;
  return made;
}

/// Equal, or NaN both.
bool same(float a, float b) {
  return a == b ? std::signbit(a) == std::signbit(b) : std::isnan(a) && std::isnan(b);
}

}  // namespace

TEST_CASE("convolution: vectors of 16 give the sums of vectors of 8, bit for bit") {
  if (!wide_vectors()) {
    WARN("this processor has no vectors of 16 floats");
    return;
  }
  std::mt19937_64 generator(3);
  for (int round = 0; round < 300; ++round) {
    const Index width = 3 + static_cast<Index>(generator() % 40);
    const Index height = 3 + static_cast<Index>(generator() % 12);
    const Index taps = 1 + static_cast<Index>(generator() % 90);
    const std::size_t panels = 1 + generator() % 2;
    // All positions of rows of some width, or some of them.
    std::vector<std::int32_t> corners, offsets;
    const bool some = generator() % 3 == 0;
    const Index step = 1 + static_cast<Index>(generator() % 2);
    for (Index y = 0; y + 1 < height; y += step) {
      for (Index x = 0; x + 2 < width; x += step)
        if (!some || generator() % 2 == 0) corners.push_back(static_cast<std::int32_t>(y * width + x));
    }
    const std::size_t plane = static_cast<std::size_t>(width * height);
    for (Index k = 0; k < taps; ++k)
      offsets.push_back(static_cast<std::int32_t>(k / 6 * width * height + k / 3 % 2 * width + k % 3));
    const auto image = values(generator, plane * static_cast<std::size_t>(taps / 6 + 1));
    const auto panel = static_cast<std::size_t>(panel_width);
    const auto weights = values(generator, panels * panel * static_cast<std::size_t>(taps));
    const auto bias = values(generator, panels * panel);
    const auto positions = static_cast<Index>(corners.size());
    std::vector<float> wide(panels * panel * corners.size() + 1, 5.0F), base(wide);
    // In two passes where there are taps for it: sums begin with the bias, then continue.
    const Index half = taps / 2;
    for (Index first = 0; first < taps;) {
      const Index count = first == 0 && half > 0 ? half : taps - first;
      ConvPass pass{image.data(),
                    corners.data(),
                    offsets.data() + first,
                    count,
                    weights.data() + first * panel_width,
                    taps * panel_width,
                    first == 0 ? bias.data() : nullptr,
                    wide.data()};
      run_pass_wide(pass, positions, static_cast<int>(panels));
      for (std::size_t p = 0; p < panels; ++p) {
        pass.sums = base.data() + p * panel * corners.size();
        run_pass(pass, positions, false);
        pass.weights += pass.weights_step;
        if (pass.bias != nullptr) pass.bias += panel_width;
      }
      first += count;
    }
    CAPTURE(round, width, height, taps, panels, positions);
    for (std::size_t i = 0; i < wide.size(); ++i) REQUIRE(same(wide[i], base[i]));
    if (positions > 0) CHECK(base.front() != 5.0F);
    CHECK(base.back() == 5.0F);
  }
}
