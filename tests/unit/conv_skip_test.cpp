#include <cmath>
#include <limits>
#include <random>

#include <catch2/catch.hpp>

#include <temblor/network/conv.hpp>

using namespace temblor;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Runs of zeros between runs of values, as ReLU leaves them.
Matrix sparse_image(std::mt19937_64& generator, Index size, double zeros) {
  std::uniform_real_distribution<float> real(-1, 1);
  std::uniform_real_distribution<double> share(0, 1);
  Matrix image(1, size);
  for (Index i = 0; i < size;) {
    const bool zero = share(generator) < zeros;
    const Index end = std::min(size, i + 1 + static_cast<Index>(generator() % 12));
    for (; i < end; ++i) image(0, i) = zero ? 0.0F : real(generator);
  }
  return image;
}

bool same(float a, float b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

}  // namespace

TEST_CASE("convolution: taps that read nothing but 0 may be left out, every sum stays") {
  std::mt19937_64 generator(8);
  const auto below = [&](Index n) { return static_cast<Index>(generator() % static_cast<std::uint64_t>(n)); };
  for (int round = 0; round < 300; ++round) {
    Window window;
    window.kernel = {1 + below(4), 1 + below(4)};
    window.stride = {1 + below(2), 1 + below(2)};
    window.dilation = {1 + below(2), 1 + below(2)};
    window.padding = {below(3), below(3), below(3), below(3)};
    const Shape shape{{1 + below(40), 7 + below(5), 7 + below(20)}};
    const Sliding sliding(window, shape);
    const Index outputs = 1 + below(90);
    Weights weights{Matrix::Zero(outputs, shape.dims[0] * sliding.taps()), {}};
    std::uniform_real_distribution<float> real(-1, 1);
    for (Index k = 0; k < weights.weight.size(); ++k) weights.weight.data()[k] = real(generator);
    if (round % 2 == 0) weights.bias = weights.weight.col(0);
    if (round % 7 == 0) weights.weight.data()[below(weights.weight.size())] = infinity;
    Matrix image = sparse_image(generator, shape.size(), round % 5 == 0 ? 0.2 : 0.9);
    if (round % 6 == 0) image(0, below(shape.size())) = round % 4 == 0 ? infinity : std::nanf("");
    PackedConv packed;
    packed.pack(sliding, 1, weights);
    std::vector<float> out(static_cast<std::size_t>(outputs * sliding.positions()));
    packed.multiply({image.data(), image.cols(), nullptr}, 1, out.data(), static_cast<Index>(out.size()));
    const PlaneConv plane(sliding, 1);
    std::vector<float> wanted(static_cast<std::size_t>(sliding.positions()));
    for (Index c = 0; c < outputs; ++c) {
      plane.run(image.data(), 0, weights.weight.data() + c * weights.weight.cols(),
                weights.bias.size() != 0 ? weights.bias(c) : 0.0F, wanted.data());
      CAPTURE(round, shape.text(), outputs, c, window.kernel, window.stride, window.dilation, window.padding);
      for (std::size_t p = 0; p < wanted.size(); ++p)
        REQUIRE(same(out[static_cast<std::size_t>(c) * wanted.size() + p], wanted[p]));
    }
  }
}
