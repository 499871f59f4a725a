// Double-double evaluation against multiple precision, and where bounds use it.

#include <cmath>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <catch2/catch.hpp>
#include <support/graphs.hpp>

#include <temblor/bounds/bound.hpp>
#include <temblor/bounds/nominal.hpp>
#include <temblor/network/double_double.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

using Real = boost::multiprecision::cpp_bin_float_100;

/// How far the value is from high + low, and the radius that says so.
void check_within(const Real& truth, const DoubleDouble& values, Index i) {
  const Real off = truth - Real(values.high.data()[i]) - Real(values.low.data()[i]);
  CHECK(abs(off) <= Real(values.radius.data()[i]));
  CHECK(values.high.data()[i] + values.low.data()[i] == values.high.data()[i]);
}

/// Dense layers 24 units wide, with sums over two of them and activations: an enclosure in double gains a
/// digit in every layer.
Network deep_network(Stream& stream, int blocks, const std::string& last) {
  GraphBuilder build({{24}}, stream);
  int z = build.dense(24);
  for (int b = 0; b < blocks; ++b) {
    build.dense(24);
    build.layer(b % 2 == 0 ? "relu" : "leaky-relu");
    const int p = build.dense(24);
    z = build.layer("add", {}, {z, p});
    z = build.layer("relu");
  }
  if (!last.empty()) build.layer(last);
  build.dense(3);
  return build.network();
}

std::vector<Real> exact_logits(const Network& network, const Matrix& images, Index n) {
  std::vector<std::vector<Real>> outputs;
  std::vector<Real> image;
  for (Index i = 0; i < images.cols(); ++i) image.emplace_back(images(n, i));
  for (const auto& node : network.nodes()) {
    const auto in = [&](int k) { return k < 0 ? image : outputs[static_cast<std::size_t>(k)]; };
    std::vector<Real> z = in(node.inputs.front());
    const std::string kind(node.layer->kind());
    if (kind == "dense") {
      const auto& weights = network.weights(node.weights);
      std::vector<Real> p;
      for (Index i = 0; i < weights.weight.rows(); ++i) {
        Real sum = weights.bias(i);
        for (Index j = 0; j < weights.weight.cols(); ++j)
          sum += Real(weights.weight(i, j)) * z[static_cast<std::size_t>(j)];
        p.push_back(sum);
      }
      z = p;
    } else if (kind == "add") {
      const auto other = in(node.inputs[1]);
      for (std::size_t i = 0; i < z.size(); ++i) z[i] += other[i];
    } else {
      const Real slope = kind == "relu" ? Real(0) : Real(node.layer->options().at("slope").front());
      for (Real& x : z) x = x < 0 ? slope * x : x;
    }
    outputs.push_back(z);
  }
  return outputs.back();
}

}  // namespace

TEST_CASE("products in double-double lose nothing to cancellation") {
  Stream stream(41, {});
  const Index inputs = 301;
  for (const Index outputs : {1, 8, 11}) {
    Matrix weight(outputs, inputs);
    Vector bias(outputs);
    for (Index i = 0; i < weight.size(); ++i) weight.data()[i] = static_cast<float>(stream.normal());
    for (Index i = 0; i < outputs; ++i) bias(i) = static_cast<float>(stream.normal());
    DoubleDouble in;
    in.high.resize(3, inputs);
    in.low.resize(3, inputs);
    in.radius = MatrixD::Zero(3, inputs);
    for (Index n = 0; n < 3; ++n) {
      for (Index k = 0; k < inputs; ++k) {
        in.high(n, k) = std::ldexp(stream.normal(), static_cast<int>(stream.below(60)));
        in.low(n, k) = in.high(n, k) * 0x1p-54 * stream.uniform();
      }
      // The last input brings the first output back to about 1.
      double sum = 0;
      for (Index k = 0; k + 1 < inputs; ++k) sum += static_cast<double>(weight(0, k)) * in.high(n, k);
      in.high(n, inputs - 1) = -sum / static_cast<double>(weight(0, inputs - 1));
    }
    const DoubleDoubleProduct product(weight, bias);
    DoubleDouble out;
    product.multiply({in.high, in.low, product.spread(in)}, out);
    for (Index n = 0; n < 3; ++n) {
      for (Index i = 0; i < outputs; ++i) {
        Real truth = bias(i);
        Real size = abs(truth);
        for (Index k = 0; k < inputs; ++k) {
          truth += Real(weight(i, k)) * (Real(in.high(n, k)) + Real(in.low(n, k)));
          size += abs(Real(weight(i, k)) * Real(in.high(n, k)));
        }
        check_within(truth, out, n * outputs + i);
        CHECK(Real(out.radius(n, i)) < 1e-26 * size);
      }
    }
  }
}

TEST_CASE("kinks in double-double") {
  DoubleDouble in;
  in.high.resize(1, 7);
  in.high << -2, -1e-20, 0, 1e-20, 0.75, 1, 3;
  in.low = in.high * 0x1p-54;
  in.radius = MatrixD::Constant(1, 7, 1e-18);
  for (const double slope : {0.0, 0.25, 1.0}) {
    for (const double most : {1.0, 1e300}) {
      for (const double least : {-1e300, 0.0}) {
        DoubleDouble out;
        bend(in, slope, least, most, out);
        const Interval box = enclosing(out);
        for (Index i = 0; i < 7; ++i) {
          for (const double side : {-1.0, 0.0, 1.0}) {
            const Real x = Real(in.high(i)) + Real(in.low(i)) + side * Real(in.radius(i));
            Real truth = x < least ? Real(least) : x > most ? Real(most) : x;
            if (truth < 0) truth *= slope;
            INFO("slope " << slope << ", " << least << " to " << most << ", value " << i);
            CHECK(Real(box.lower(i)) <= truth);
            CHECK(Real(box.upper(i)) >= truth);
            CHECK(box.upper(i) - box.lower(i) < 1e-15 * (1 + std::abs(in.high(i))));
          }
        }
        // What is clipped for certain is known.
        if (least == 0) CHECK(box.upper(0) == 0);
        if (most == 1) CHECK(box.lower(6) == 1);
      }
    }
  }
}

TEST_CASE("the nominal outputs of a deep network are as narrow as if rounding did not add up") {
  Stream stream(42, {});
  const Network network = deep_network(stream, 12, "");
  Dataset data = graph_images(network, 3, true, stream);
  const Interval images{data.images.cast<double>(), data.images.cast<double>()};
  const std::vector<const Radius*> none(static_cast<std::size_t>(network.layers()));
  const Interval plain = interval_forward(network, network.view(), none, images).back();
  const Interval narrow = nominal_outputs(network, images, network.nodes().size()).back();
  CHECK((plain.upper - plain.lower).minCoeff() > 1e-3);
  for (Index n = 0; n < 3; ++n) {
    const auto truth = exact_logits(network, data.images, n);
    for (Index j = 0; j < 3; ++j) {
      const Real& value = truth[static_cast<std::size_t>(j)];
      CHECK(Real(narrow.lower(n, j)) <= value);
      CHECK(Real(narrow.upper(n, j)) >= value);
      CHECK(Real(narrow.upper(n, j) - narrow.lower(n, j)) <= 1e-13 * (1 + abs(value)));
    }
  }
  // What it is for: a perturbation of the last layer is bounded by what it can do.
  for (const std::string bound : {"norm-vector", "interval", "linear"}) {
    const auto& entry = find_bound(bound);
    const ThreatSet set = linf_set(network, 1e-6, {network.layers() - 1}, false);
    const auto values = entry.compute({network, data, set, false, checked_params(entry, {})});
    const Interval inputs = nominal_outputs(network, images, network.nodes().size() - 1).back();
    for (Index n = 0; n < 3; ++n) {
      const double exact = 2e-6 * inputs.upper.row(n).sum();
      CHECK(values.value.row(n).maxCoeff() == Approx(exact).epsilon(1e-6));
    }
  }
}

TEST_CASE("layers that have no double-double form are enclosed by their intervals") {
  Stream stream(43, {});
  for (const std::string last : {"tanh", "hard-swish"}) {
    const Network network = deep_network(stream, 12, last);
    const Dataset data = graph_images(network, 3, true, stream);
    const Interval images{data.images.cast<double>(), data.images.cast<double>()};
    const auto outputs = nominal_outputs(network, images, network.nodes().size());
    const std::vector<const Radius*> none(static_cast<std::size_t>(network.layers()));
    const Interval plain = interval_forward(network, network.view(), none, images).back();
    CHECK((outputs.back().upper - outputs.back().lower).maxCoeff() < 1e-9);
    CHECK((outputs.back().lower.array() <= plain.upper.array()).all());
    CHECK((outputs.back().upper.array() >= plain.lower.array()).all());
    // The layer's own outputs, from its enclosed inputs.
    Interval own;
    const Interval* in = &outputs[outputs.size() - 3];
    network.nodes()[outputs.size() - 2].layer->interval({&in, 1}, nullptr, nullptr, own);
    CHECK((own.upper - outputs[outputs.size() - 2].upper).cwiseAbs().maxCoeff() < 1e-14);
    CHECK((own.lower - outputs[outputs.size() - 2].lower).cwiseAbs().maxCoeff() < 1e-14);
  }
}
