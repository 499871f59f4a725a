// What bounds and exact inference rely on, for every layer of the table.

#include <catch2/catch.hpp>
#include <support/layer_examples.hpp>

#include <temblor/network/conv.hpp>
#include <temblor/network/double_double.hpp>
#include <temblor/network/network.hpp>

using namespace temblor;

namespace {

Matrix random_matrix(Index rows, Index cols, Stream& stream) {
  Matrix values(rows, cols);
  for (Index i = 0; i < values.size(); ++i) values.data()[i] = static_cast<float>(2 * stream.normal());
  return values;
}

template <class Values>
std::vector<const Values*> pointers(const std::vector<Values>& values) {
  std::vector<const Values*> all;
  for (const Values& value : values) all.push_back(&value);
  return all;
}

/// A point of the interval.
Matrix within(const Interval& box, Stream& stream) {
  Matrix point(box.lower.rows(), box.lower.cols());
  for (Index i = 0; i < point.size(); ++i) {
    const double l = box.lower.data()[i];
    const double u = box.upper.data()[i];
    const auto side = stream.below(3);
    point.data()[i] = static_cast<float>(side == 0 ? l : side == 1 ? u : l + (u - l) * stream.uniform());
  }
  return point;
}

}  // namespace

TEST_CASE("intervals of every layer enclose its outputs") {
  Stream stream(3, {});
  for (const auto& example : testing::layer_examples()) {
    INFO(example.text());
    const auto layer = example.layer();
    for (const double width : {0.0, 0.5}) {
      std::vector<Interval> boxes;
      for (const Shape& shape : example.inputs) {
        const MatrixD middle = random_matrix(2, shape.size(), stream).cast<double>();
        boxes.push_back({middle.array() - width, middle.array() + width});
      }
      Weights weights;
      if (example.weighted()) weights = example.weights(stream);
      Radius radius;
      radius.uniform = 0.25;
      radius.bias_uniform = 0.125;
      Interval out;
      layer->interval(pointers(boxes), example.weighted() ? &weights : nullptr,
                      example.weighted() ? &radius : nullptr, out);
      for (int trial = 0; trial < 20; ++trial) {
        std::vector<Matrix> points;
        for (const Interval& box : boxes) points.push_back(within(box, stream));
        Weights moved = weights;
        for (Index i = 0; i < moved.weight.size(); ++i)
          moved.weight.data()[i] += stream.below(2) == 0 ? 0.25F : -0.25F;
        for (Index i = 0; i < moved.bias.size(); ++i)
          moved.bias[i] += stream.below(2) == 0 ? 0.125F : -0.125F;
        Matrix values;
        layer->forward(pointers(points), example.weighted() ? &moved : nullptr, values);
        const MatrixD exact = values.cast<double>();
        const double slack = 1e-4;
        CHECK((exact.array() >= out.lower.array() - slack).all());
        CHECK((exact.array() <= out.upper.array() + slack).all());
      }
    }
  }
}

TEST_CASE("affine layers: pull is the transpose of what forward does") {
  Stream stream(4, {});
  for (const auto& example : testing::layer_examples()) {
    const auto layer = example.layer();
    if (!layer->affine()) continue;
    INFO(example.text());
    std::vector<Matrix> in;
    for (const Shape& shape : example.inputs) in.push_back(random_matrix(3, shape.size(), stream));
    Weights weights;
    if (example.weighted()) weights = example.weights(stream);
    Matrix out;
    layer->forward(pointers(in), example.weighted() ? &weights : nullptr, out);
    const MatrixD a = random_matrix(3, out.cols(), stream).cast<double>();
    std::vector<MatrixD> on_inputs;
    std::vector<MatrixD*> wanted;
    for (const Matrix& values : in) on_inputs.push_back(MatrixD::Zero(3, values.cols()));
    for (MatrixD& values : on_inputs) wanted.push_back(&values);
    VectorD value = VectorD::Zero(3);
    layer->pull(a, example.weighted() ? &weights : nullptr, wanted, &value);
    for (std::size_t i = 0; i < in.size(); ++i)
      value += on_inputs[i].cwiseProduct(in[i].cast<double>()).rowwise().sum();
    const VectorD expected = a.cwiseProduct(out.cast<double>()).rowwise().sum();
    CHECK((value - expected).cwiseAbs().maxCoeff() < 1e-3);
  }
}

// Numbers of few bits: what pull() says of a layer is then exact, for the high parts and for the low ones.
TEST_CASE("affine layers in double-double are exact within their radius") {
  Stream stream(14, {});
  const auto few_bits = [&](auto& values) {
    for (Index i = 0; i < values.size(); ++i)
      values.data()[i] = 0x1p-4F * (static_cast<float>(stream.below(128)) - 64);
  };
  int layers = 0;
  for (const auto& example : testing::layer_examples()) {
    const auto layer = example.layer();
    const auto* precise = dynamic_cast<const DoubleDoubleLayer*>(layer.get());
    if (!layer->affine() || precise == nullptr) continue;
    ++layers;
    INFO(example.text());
    Weights weights;
    if (example.weighted()) {
      weights = example.weights(stream);
      few_bits(weights.weight);
      few_bits(weights.bias);
    }
    const Weights* own = example.weighted() ? &weights : nullptr;
    std::vector<DoubleDouble> in;
    for (const Shape& shape : example.inputs) {
      Matrix high(2, shape.size()), low(2, shape.size());
      few_bits(high);
      few_bits(low);
      high.array() += 8;  // above the low part, so that their sum rounds to it
      in.push_back(
          {high.cast<double>(), 0x1p-80 * low.cast<double>(), MatrixD::Constant(2, shape.size(), 0x1p-90)});
    }
    DoubleDouble out;
    precise->run(pointers(in), own, out);
    const Index outputs = out.high.cols();
    std::vector<MatrixD> map;
    std::vector<MatrixD*> wanted;
    for (const Shape& shape : example.inputs) map.push_back(MatrixD::Zero(outputs, shape.size()));
    for (MatrixD& part : map) wanted.push_back(&part);
    VectorD constant = VectorD::Zero(outputs);
    layer->pull(MatrixD::Identity(outputs, outputs), own, wanted, &constant);
    MatrixD high = constant.transpose().replicate(2, 1);
    MatrixD low = MatrixD::Zero(2, outputs);
    MatrixD radius = low;
    for (std::size_t i = 0; i < in.size(); ++i) {
      high += in[i].high * map[i].transpose();
      low += in[i].low * map[i].transpose();
      radius += in[i].radius * map[i].cwiseAbs().transpose();
    }
    const MatrixD off = ((out.high - high) + (out.low - low)).cwiseAbs();
    // In exact arithmetic the radius holds what the inputs' do, and rounding besides.
    CHECK((off.array() <= (out.radius - radius * (1 - 0x1p-50)).array()).all());
    CHECK((out.radius.array() <= (1 + 1e-9) * radius.array() + 1e-23).all());
    const Interval box = enclosing(out);
    CHECK((box.lower.array() <= high.array()).all());
    CHECK((box.upper.array() >= high.array()).all());
  }
  CHECK(layers > 15);
}

TEST_CASE("layers in double-double agree with their intervals") {
  Stream stream(15, {});
  for (const auto& example : testing::layer_examples()) {
    const auto layer = example.layer();
    const auto* precise = dynamic_cast<const DoubleDoubleLayer*>(layer.get());
    if (precise == nullptr) continue;
    INFO(example.text());
    Weights weights;
    if (example.weighted()) weights = example.weights(stream);
    const Weights* own = example.weighted() ? &weights : nullptr;
    std::vector<Interval> boxes;
    std::vector<DoubleDouble> in;
    for (const Shape& shape : example.inputs) {
      const MatrixD values = random_matrix(2, shape.size(), stream).cast<double>();
      boxes.push_back({values, values});
      in.push_back(double_double(boxes.back()));
    }
    Interval plain;
    layer->interval(pointers(boxes), own, nullptr, plain);
    DoubleDouble out;
    precise->run(pointers(in), own, out);
    const Interval box = enclosing(out);
    // Both hold the value, and this one knows it well.
    CHECK((box.lower.array() <= plain.upper.array()).all());
    CHECK((box.upper.array() >= plain.lower.array()).all());
    CHECK(((box.upper - box.lower).array() <= 1e-14 * (1 + box.upper.array().abs())).all());
  }
}

TEST_CASE("convolution is one fused chain a value: the definition, and any subset of channels, bit for bit") {
  Stream stream(5, {});
  for (const auto& example : testing::layer_examples()) {
    if (example.kind != "conv2d") continue;
    INFO(example.text());
    const auto layer = example.layer();
    const Weights weights = example.weights(stream);
    const Matrix in = random_matrix(2, example.inputs[0].size(), stream);
    Matrix out;
    layer->forward(pointers(std::vector<Matrix>{in}), &weights, out);

    Window window;
    const auto take = [&](const std::string& name, auto& to) {
      const auto values = layer->options().at(name);
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<Index>(values[i]);
    };
    take("kernel", window.kernel);
    take("stride", window.stride);
    take("dilation", window.dilation);
    take("padding", window.padding);
    const auto groups = static_cast<Index>(layer->options().at("groups").front());
    const Sliding sliding(window, example.inputs[0]);
    const Index positions = sliding.positions();
    const Index inputs = sliding.channels() / groups;
    Matrix seen(positions, inputs * sliding.taps());
    for (Index n = 0; n < in.rows(); ++n) {
      for (Index c = 0; c < weights.weight.rows(); ++c) {
        const Index group = c / (weights.weight.rows() / groups);
        sliding.unfold(in.data() + n * in.cols(), group * inputs, inputs, seen.data());
        for (Index p = 0; p < positions; ++p) {
          float sum = weights.bias[c];
          for (Index k = 0; k < seen.cols(); ++k) sum = std::fma(weights.weight(c, k), seen(p, k), sum);
          CHECK(out(n, c * positions + p) == sum);
        }
      }
    }

    std::vector<Index> some;
    for (Index c = 0; c < weights.weight.rows(); c += 2) some.push_back(c);
    PackedConv packed;
    packed.pack(sliding, groups, weights, some);
    Matrix part(in.rows(), packed.outputs() * positions);
    packed.multiply({in.data(), in.cols(), nullptr}, in.rows(), part.data(), part.cols());
    for (std::size_t i = 0; i < some.size(); ++i)
      CHECK(part.middleCols(static_cast<Index>(i) * positions, positions) ==
            out.middleCols(some[i] * positions, positions));
  }
}

TEST_CASE("layer options: missing, unknown, fractional and misfitting ones are refused") {
  CHECK_THROWS_WITH(make_layer("conv2d"), Catch::Contains("no 'kernel'"));
  CHECK_THROWS_WITH(make_layer("conv2d", {{"kernel", {3, 3}}, {"stridee", {1, 1}}}),
                    Catch::Contains("did you mean 'stride'"));
  CHECK_THROWS_WITH(make_layer("conv2d", {{"kernel", {3, 2.5}}}), Catch::Contains("not a whole number"));
  CHECK_THROWS_WITH(make_layer("conv2d", {{"kernel", {3}}}), Catch::Contains("2 are needed"));
  Network network({{2, 4, 4}}, {});
  CHECK_THROWS_WITH(network.add(make_layer("conv2d", {{"kernel", {5, 5}}}), {Matrix::Zero(3, 50), {}}),
                    Catch::Contains("a window spans 5 rows"));
  CHECK_THROWS_WITH(network.add(make_layer("conv2d", {{"kernel", {3, 3}}}), {Matrix::Zero(3, 17), {}}),
                    Catch::Contains("one output reads 18 values"));
  CHECK_THROWS_WITH(
      network.add(make_layer("conv2d", {{"kernel", {3, 3}}, {"groups", {3}}}), {Matrix::Zero(3, 6), {}}),
      Catch::Contains("must divide"));
  CHECK_THROWS_WITH(network.add(make_layer("max-pool", {{"kernel", {2, 2}}, {"padding", {2, 0, 0, 0}}})),
                    Catch::Contains("lies in the padding"));
}
