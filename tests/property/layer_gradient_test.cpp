// Every row of the layer table against finite differences, and the activations against the C library.

#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include <catch2/catch.hpp>
#include <support/gradients.hpp>
#include <support/layer_examples.hpp>

#include <temblor/base/error.hpp>
#include <temblor/network/layer.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;

namespace {

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
  for (const auto& example : testing::layer_examples()) {
    INFO(example.text());
    const auto layer = example.layer();
    Stream stream(11, {});
    std::vector<Matrix> in;
    for (const Shape& shape : example.inputs) in.push_back(away_from_kinks(3, shape.size(), stream));
    std::vector<const Matrix*> inputs;
    for (const Matrix& values : in) inputs.push_back(&values);
    Weights weights;
    if (example.weighted()) weights = example.weights(stream);
    const Weights* parameters = example.weighted() ? &weights : nullptr;
    Matrix out;
    layer->forward(inputs, parameters, out);
    REQUIRE(out.cols() == layer->output_shape(example.inputs, parameters).size());
    const Matrix direction = away_from_kinks(out.rows(), out.cols(), stream);
    const auto loss = [&] {
      Matrix now;
      layer->forward(inputs, parameters, now);
      return now.cast<double>().cwiseProduct(direction.cast<double>()).sum();
    };

    // Backward adds: it must keep what is there.
    std::vector<Matrix> grad_in;
    for (const Matrix& values : in) grad_in.push_back(Matrix::Constant(values.rows(), values.cols(), 3));
    Weights grad{Matrix::Constant(weights.weight.rows(), weights.weight.cols(), 5),
                 Vector::Constant(weights.bias.size(), 5)};
    std::vector<Matrix*> wanted;
    for (Matrix& values : grad_in) wanted.push_back(&values);
    layer->backward(inputs, out, parameters, direction, wanted, example.weighted() ? &grad : nullptr);
    grad.weight.array() -= 5;
    grad.bias.array() -= 5;
    const float step = 0x1p-6F;
    // Near ties of a pooling window change their winner within a large step.
    const float small = example.kind == "max-pool" ? 0x1p-16F : step;
    for (std::size_t i = 0; i < in.size(); ++i) {
      grad_in[i].array() -= 3;
      CHECK(testing::gradient_error(loss, in[i].data(), grad_in[i].data(), in[i].size(), small) < 2e-3);
    }
    CHECK(testing::gradient_error(loss, weights.weight.data(), grad.weight.data(), grad.weight.size(), step) <
          1e-4);
    CHECK(testing::gradient_error(loss, weights.bias.data(), grad.bias.data(), grad.bias.size(), step) <
          1e-4);

    // Nothing wanted, nothing touched.
    const std::vector<Matrix*> unwanted(in.size(), nullptr);
    layer->backward(inputs, out, parameters, direction, unwanted, nullptr);
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
  const std::map<std::string, std::pair<float, float>> limits = {{"relu", {0.0F, inf}},
                                                                 {"leaky-relu", {-inf, inf}},
                                                                 {"clip", {0.0F, 6.0F}},
                                                                 {"sigmoid", {0.0F, 1.0F}},
                                                                 {"tanh", {-1.0F, 1.0F}}};
  for (const auto& example : testing::layer_examples()) {
    const auto layer = example.layer();
    if (!layer->elementwise()) continue;
    INFO(example.kind);
    CHECK(std::isnan(once(*layer, std::numeric_limits<float>::quiet_NaN())));
    CHECK(once(*layer, -inf) == limits.at(example.kind).first);
    CHECK(once(*layer, inf) == limits.at(example.kind).second);
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
