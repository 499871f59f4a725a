#include <bit>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <temblor/network/dense.hpp>
#include <temblor/network/runner.hpp>

using namespace temblor;

namespace {

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

/// The promised order of additions.
float chain(const Matrix& in, Index row, const Matrix& weight, const Vector& bias, Index unit) {
  float sum = bias.size() != 0 ? bias[unit] : 0.0F;
  for (Index k = 0; k < in.cols(); ++k) {
#ifdef __FMA__
    sum = std::fma(in(row, k), weight(unit, k), sum);
#else
    sum += in(row, k) * weight(unit, k);
#endif
  }
  return sum;
}

}  // namespace

TEST_CASE("dense kernel adds in index order, whatever the sizes") {
  for (const Index inputs : {1, 7, 320, 321, 784}) {
    for (const Index outputs : {1, 8, 9, 16, 33}) {
      const Matrix weight = Matrix::Random(outputs, inputs);
      const Vector bias = Vector::Random(outputs);
      for (const Index rows : {1, 2, 3, 4, 5, 6, 13}) {
        const Matrix in = Matrix::Random(rows, inputs);
        PackedDense packed;
        packed.pack(weight, bias);
        Matrix out = Matrix::Constant(rows, outputs + 3, 7.0F);
        packed.multiply({in.data(), inputs, nullptr}, rows, out.data(), out.cols());
        bool equal = true;
        for (Index r = 0; r < rows; ++r) {
          for (Index i = 0; i < outputs; ++i)
            equal = equal && same_bits(out(r, i), chain(in, r, weight, bias, i));
        }
        REQUIRE(equal);
        REQUIRE((out.rightCols(3).array() == 7.0F).all());
      }
    }
  }
}

TEST_CASE("any images and units recomputed alone have the same bits") {
  const Matrix weight = Matrix::Random(40, 500);
  const Matrix in = Matrix::Random(100, 500);
  PackedDense all;
  all.pack(weight, {});
  Matrix out(100, 40);
  all.multiply({in.data(), 500, nullptr}, 100, out.data(), 40);
  const std::vector<Index> units{3, 17, 39};
  const std::vector<std::int32_t> rows{2, 3, 50, 51, 52, 98, 99};
  PackedDense some;
  some.pack(weight, {}, units);
  Matrix part(static_cast<Index>(rows.size()), 3);
  some.multiply({in.data(), 500, rows.data()}, part.rows(), part.data(), 3);
  for (Index r = 0; r < part.rows(); ++r) {
    for (Index c = 0; c < 3; ++c)
      REQUIRE(
          same_bits(part(r, c), out(rows[static_cast<std::size_t>(r)], units[static_cast<std::size_t>(c)])));
  }
}

TEST_CASE("dense kernel follows IEEE 754 as a full sum") {
  const float inf = std::numeric_limits<float>::infinity();
  Matrix weight = Matrix::Ones(2, 3);
  weight(0, 1) = inf;
  weight(1, 2) = std::numeric_limits<float>::quiet_NaN();
  Matrix in(3, 3);
  in << 1, 0, 1, 1, 2, 1, 1, -2, 0;
  PackedDense packed;
  packed.pack(weight, {});
  Matrix out(3, 2);
  packed.multiply({in.data(), 3, nullptr}, 3, out.data(), 2);
  CHECK(std::isnan(out(0, 0)));
  CHECK(out(1, 0) == inf);
  CHECK(out(2, 0) == -inf);
  CHECK((out.col(1).array() != out.col(1).array()).all());
}

TEST_CASE("a runner gives forward's bits for any images and any part of the graph") {
  Network network({{12}}, {});
  const auto weights = [](Index outputs, Index inputs) {
    return Weights{Matrix::Random(outputs, inputs), Vector::Random(outputs)};
  };
  network.add(make_layer("dense"), weights(20, 12));
  network.add(make_layer("relu"));
  network.add(make_layer("flatten"));
  network.add(make_layer("dense"), weights(9, 20));
  network.add(make_layer("tanh"));
  network.add(make_layer("dense"), weights(4, 9));
  const Matrix images = Matrix::Random(90, 12);
  Activations golden;
  forward(network, network.view(), images, golden);
  const Network other = network.with(1, weights(9, 20));
  Activations wanted;
  forward(other, other.view(), images, wanted);

  const std::vector<PackedDense> packed = pack_dense(other, other.view());
  BlockRunner runner(other);
  runner.use(other.view(), {&packed[0], &packed[1], &packed[2]});
  const std::vector<bool> dirty = runner.descendants({false, false, false, true, false, false});
  CHECK(dirty == std::vector<bool>{false, false, false, true, true, true});
  const std::vector<std::int32_t> rows{1, 5, 6, 7, 80, 89};
  for (const bool part : {false, true}) {
    const BlockRunner::Images listed{&images, 0, 6, rows.data()};
    const RowsView few = part ? runner.run(listed, golden, dirty) : runner.run(listed);
    for (Index r = 0; r < 6; ++r) {
      for (Index c = 0; c < 4; ++c)
        REQUIRE(same_bits(few.row(r)[c], wanted.outputs.back()(rows[static_cast<std::size_t>(r)], c)));
    }
    const BlockRunner::Images range{&images, 30, 60};
    const RowsView many = part ? runner.run(range, golden, dirty) : runner.run(range);
    for (Index r = 0; r < 60; ++r) {
      for (Index c = 0; c < 4; ++c) REQUIRE(same_bits(many.row(r)[c], wanted.outputs.back()(30 + r, c)));
    }
  }
}
