#include "../../src/network/conv_gradient.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

#include <catch2/catch.hpp>

#include <temblor/network/conv.hpp>
#include <temblor/network/dense.hpp>
#include <temblor/network/vectors.hpp>
#include <temblor/random/stream.hpp>

// Vectors of 16 give what vectors of 8 give, bit for bit.

using namespace temblor;

namespace {

class Vectors {
 public:
  explicit Vectors(bool wide) : before_(use_wide_vectors(wide)) {}
  ~Vectors() { use_wide_vectors(before_); }
  Vectors(const Vectors&) = delete;
  Vectors& operator=(const Vectors&) = delete;

 private:
  bool before_;
};

bool there() {
  const Vectors wide(true);
  if (wide_vectors()) return true;
  WARN("this processor has no vectors of 16: skipped");
  return false;
}

Matrix noise(Index rows, Index columns, Stream& stream) {
  Matrix values(rows, columns);
  for (Index i = 0; i < values.size(); ++i) values.data()[i] = static_cast<float>(stream.normal());
  return values;
}

/// What `compute` gives with either kind of vectors.
template <class Compute>
bool same(Compute&& compute) {
  const auto with = [&](bool wide) {
    const Vectors vectors(wide);
    return Matrix(compute());
  };
  const Matrix eight = with(false);
  const Matrix sixteen = with(true);
  return eight.size() == sixteen.size() &&
         std::equal(eight.data(), eight.data() + eight.size(), sixteen.data(), [](float a, float b) {
           return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
         });
}

/// A window that fits into planes of that size.
Window some_window(const Shape& shape, Stream& stream) {
  const auto below = [&](std::uint64_t most) { return static_cast<Index>(stream.below(most)); };
  Window window;
  for (std::size_t d = 0; d < 2; ++d) {
    window.kernel[d] = 1 + below(4);
    window.stride[d] = 1 + below(3);
    window.dilation[d] = 1 + below(2);
    window.padding[d] = below(3);
    window.padding[d + 2] = below(3);
    const Index reach = (window.kernel[d] - 1) * window.dilation[d] + 1;
    window.padding[d] = std::max(window.padding[d], reach - shape.dims[d + 1]);
  }
  return window;
}

}  // namespace

TEST_CASE("dense kernel: vectors of either width") {
  if (!there()) return;
  Stream stream(1, {1});
  for (const Index inputs : {0, 1, 7, 320, 641}) {
    for (const Index outputs : {1, 8, 9, 15, 16, 17, 40}) {
      for (const Index rows : {1, 2, 3, 5, 6, 12, 31}) {
        const Matrix in = noise(rows, inputs, stream);
        const Matrix weight = noise(outputs, inputs, stream);
        PackedDense packed;
        packed.pack(weight, outputs % 2 == 0 ? Vector() : Vector(noise(outputs, 1, stream)));
        CAPTURE(inputs, outputs, rows);
        REQUIRE(same([&] {
          Matrix out = Matrix::Constant(rows, outputs + 3, 7.0F);
          packed.multiply({in.data(), inputs, nullptr}, rows, out.data(), out.cols());
          return out;
        }));
      }
    }
  }
}

TEST_CASE("convolution kernels and gradients: vectors of either width, any window") {
  if (!there()) return;
  Stream stream(1, {2});
  const auto below = [&](std::uint64_t most) { return static_cast<Index>(stream.below(most)); };
  for (int round = 0; round < 300; ++round) {
    const Index groups = 1 + below(2);
    const Shape shape{{groups * (1 + below(20)), 1 + below(20), 1 + below(40)}};
    const Sliding sliding(some_window(shape, stream), shape);
    const Index outputs = groups * (1 + below(40));
    Weights weights;
    weights.weight = noise(outputs, shape.dims[0] / groups * sliding.taps(), stream);
    if (below(2) == 0) weights.bias = noise(outputs, 1, stream);
    const Matrix in = noise(2, shape.size(), stream);
    PackedConv packed;
    packed.pack(sliding, groups, weights);
    const Index units = outputs * sliding.positions();
    CAPTURE(round, groups, shape.text(), outputs);
    REQUIRE(same([&] {
      Matrix out(2, units);
      packed.multiply({in.data(), in.cols(), nullptr}, 2, out.data(), units);
      return out;
    }));
    std::vector<std::int32_t> at;
    for (std::int32_t p = 0; p < static_cast<std::int32_t>(sliding.positions()); ++p)
      if (below(4) != 0) at.push_back(p);
    REQUIRE(same([&] {
      Matrix out = Matrix::Zero(1, units);
      packed.multiply_at(in.data(), at, out.data());
      return out;
    }));
    const Matrix above = noise(2, units, stream);
    REQUIRE(same([&] {
      Matrix gradient = Matrix::Zero(outputs, weights.weight.cols());
      add_kernel_gradient(sliding, groups, in, above, gradient);
      return gradient;
    }));
    REQUIRE(same([&] {
      Matrix gradient;
      return input_gradient(sliding, groups, weights.weight, above, gradient) ? gradient : Matrix();
    }));
  }
}
