// Every row of the layer table against finite differences, and the activations against the C library.

#include <bit>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <support/gradients.hpp>

#include <temblor/base/error.hpp>
#include <temblor/network/layer.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;

namespace {

/// Parameters for a layer of this kind on inputs of this shape.
Weights random_weights(const std::string& kind, const Shape& input, Stream& stream) {
  Weights weights;
  if (kind == "dense") {
    weights = {Matrix(4, input.size()), Vector(4)};
  } else {
    FAIL("say here what weights a '" + kind + "' layer takes");
  }
  for (Index i = 0; i < weights.weight.size(); ++i)
    weights.weight.data()[i] = static_cast<float>(stream.normal());
  for (Index i = 0; i < weights.bias.size(); ++i)
    weights.bias.data()[i] = static_cast<float>(stream.normal());
  return weights;
}

/// Values in +-(0.1, 1.1): none within a finite-difference step of the kink of ReLU at 0.
Matrix away_from_kinks(Index rows, Index cols, Stream& stream) {
  Matrix values(rows, cols);
  for (Index i = 0; i < values.size(); ++i) {
    const auto size = static_cast<float>(0.1 + stream.uniform());
    values.data()[i] = stream.below(2) == 0 ? size : -size;
  }
  return values;
}

float once(const Layer& layer, float value) {
  layer.apply(&value, 1);
  return value;
}

std::int64_t ulps_between(float a, float b) {
  const auto order = [](float x) {
    const auto bits = std::bit_cast<std::int32_t>(x);
    return static_cast<std::int64_t>(bits < 0 ? std::numeric_limits<std::int32_t>::min() - bits : bits);
  };
  return std::abs(order(a) - order(b));
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

TEST_CASE("gradients of every layer agree with finite differences") {
  for (const auto& entry : layer_table()) {
    const auto layer = entry.make();
    for (const Shape& shape : {Shape{{7}}, Shape{{2, 3, 3}}}) {
      INFO(entry.name << " on " << shape.text());
      Stream stream(11, {});
      Matrix in = away_from_kinks(3, shape.size(), stream);
      Weights weights;
      if (entry.weighted) weights = random_weights(entry.name, shape, stream);
      const Weights* parameters = entry.weighted ? &weights : nullptr;
      const std::vector<const Matrix*> inputs = {&in};
      Matrix out;
      layer->forward(inputs, parameters, out);
      REQUIRE(out.cols() == layer->output_shape(std::span(&shape, 1), parameters).size());
      const Matrix direction = away_from_kinks(out.rows(), out.cols(), stream);
      const auto loss = [&] {
        Matrix now;
        layer->forward(inputs, parameters, now);
        return now.cast<double>().cwiseProduct(direction.cast<double>()).sum();
      };

      // Backward adds: it must keep what is there.
      Matrix grad_in = Matrix::Constant(in.rows(), in.cols(), 3);
      Weights grad{Matrix::Constant(weights.weight.rows(), weights.weight.cols(), 5),
                   Vector::Constant(weights.bias.size(), 5)};
      Matrix* wanted = &grad_in;
      layer->backward(inputs, out, parameters, direction, std::span(&wanted, 1),
                      entry.weighted ? &grad : nullptr);
      grad_in.array() -= 3;
      grad.weight.array() -= 5;
      grad.bias.array() -= 5;
      const float step = 0x1p-6F;
      CHECK(testing::gradient_error(loss, in.data(), grad_in.data(), in.size(), step) < 1e-3);
      CHECK(testing::gradient_error(loss, weights.weight.data(), grad.weight.data(), grad.weight.size(),
                                    step) < 1e-4);
      CHECK(testing::gradient_error(loss, weights.bias.data(), grad.bias.data(), grad.bias.size(), step) <
            1e-4);

      // Nothing wanted, nothing touched.
      Matrix* unwanted = nullptr;
      layer->backward(inputs, out, parameters, direction, std::span(&unwanted, 1), nullptr);
    }
  }
}

TEST_CASE("at the kink the derivative of relu is 0") {
  const auto relu = make_layer("relu");
  Matrix in(1, 3);
  in << 0.0F, -0.0F, 1e-30F;
  const std::vector<const Matrix*> inputs = {&in};
  Matrix out;
  relu->forward(inputs, nullptr, out);
  Matrix grad_in = Matrix::Zero(1, 3);
  Matrix* wanted = &grad_in;
  relu->backward(inputs, out, nullptr, Matrix::Ones(1, 3), std::span(&wanted, 1), nullptr);
  CHECK(grad_in == (Matrix(1, 3) << 0, 0, 1).finished());
}

TEST_CASE("element-wise layers: special values, and the same value at every place") {
  const float inf = std::numeric_limits<float>::infinity();
  for (const auto& entry : layer_table()) {
    const auto layer = entry.make();
    if (!layer->elementwise()) continue;
    INFO(entry.name);
    CHECK(std::isnan(once(*layer, std::numeric_limits<float>::quiet_NaN())));
    CHECK(once(*layer, -inf) == (entry.name == "tanh" ? -1.0F : 0.0F));
    CHECK(once(*layer, inf) == (entry.name == "relu" ? inf : 1.0F));
    Stream stream(5, {});
    for (Index n = 1; n < 20; ++n) {
      const Matrix in = away_from_kinks(1, n, stream);
      Matrix together;
      const std::vector<const Matrix*> inputs = {&in};
      layer->forward(inputs, nullptr, together);
      for (Index i = 0; i < n; ++i) CHECK(together(0, i) == once(*layer, in(0, i)));
    }
  }
}

TEST_CASE("sigmoid and tanh are a few ulp from the C library's") {
  const auto logistic = make_layer("sigmoid");
  const auto tangent = make_layer("tanh");
  std::int64_t worst_sigmoid = 0;
  std::int64_t worst_tanh = 0;
  for (int i = -80000; i <= 80000; ++i) {
    const float x = static_cast<float>(i) * 1e-3F;
    const auto exact = static_cast<double>(x);
    worst_sigmoid =
        std::max(worst_sigmoid, ulps_between(once(*logistic, x), static_cast<float>(sigmoid(exact))));
    worst_tanh = std::max(worst_tanh, ulps_between(once(*tangent, x), static_cast<float>(std::tanh(exact))));
  }
  CHECK(worst_sigmoid <= 4);
  CHECK(worst_tanh <= 8);
}

TEST_CASE("intervals of activations enclose, stay in range and are tight") {
  Stream stream(9, {});
  for (const std::string kind : {"sigmoid", "tanh"}) {
    const auto layer = make_layer(kind);
    const double least = kind == "tanh" ? -1 : 0;
    Interval in{MatrixD(1, 2000), MatrixD(1, 2000)};
    for (Index i = 0; i < in.lower.size(); ++i) {
      in.lower(0, i) = 60 * (stream.uniform() - 0.5);
      in.upper(0, i) = in.lower(0, i) + (i % 2 == 0 ? 0 : 5 * stream.uniform());
    }
    in.lower(0, 0) = -800;  // exp underflows to a subnormal
    in.upper(0, 0) = -730;
    in.lower(0, 1) = -std::numeric_limits<double>::infinity();
    in.upper(0, 1) = std::numeric_limits<double>::quiet_NaN();
    Interval out;
    const std::vector<const Interval*> inputs = {&in};
    layer->interval(inputs, nullptr, nullptr, out);
    const auto exact = [&](double x) {
      const auto wide = static_cast<long double>(x);
      return kind == "tanh" ? std::tanh(wide) : 1 / (1 + std::exp(-wide));
    };
    CHECK(out.lower(0, 1) == least);
    CHECK(out.upper(0, 1) == 1);
    for (Index i = 2; i < in.lower.size(); ++i) {
      CHECK(static_cast<long double>(out.lower(0, i)) <= exact(in.lower(0, i)));
      CHECK(static_cast<long double>(out.upper(0, i)) >= exact(in.upper(0, i)));
      CHECK(out.lower(0, i) >= least);
      CHECK(out.upper(0, i) <= 1);
      CHECK(out.lower(0, i) == Approx(static_cast<double>(exact(in.lower(0, i)))).epsilon(1e-14));
      CHECK(out.upper(0, i) == Approx(static_cast<double>(exact(in.upper(0, i)))).epsilon(1e-14));
    }
    CHECK(static_cast<long double>(out.upper(0, 0)) >= exact(-730));
  }
}

TEST_CASE("flatten keeps values and refuses two inputs") {
  const auto flatten = make_layer("flatten");
  const Shape image{{2, 3, 3}};
  CHECK(flatten->output_shape(std::span(&image, 1), nullptr) == Shape{{18}});
  const std::vector<Shape> two = {image, image};
  for (const std::string kind : {"flatten", "sigmoid", "tanh"}) {
    CHECK_THROWS_AS(make_layer(kind)->output_shape(two, nullptr), Error);
  }
}
