#include "support/tiny.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

const std::vector<std::string> all_bounds = [] {
  std::vector<std::string> names;
  for (const auto& entry : bound_table()) names.push_back(entry.name);
  return names;
}();

MatrixD value_of(const std::string& bound, const Tiny& tiny, const ThreatSet& set) {
  const auto& entry = find_bound(bound);
  REQUIRE(entry.refuses(tiny.network, set).empty());
  return entry.compute({tiny.network, tiny.data, set, false, checked_params(entry, {})}).value;
}

Real drop_of(const std::vector<Real>& before, const std::vector<Real>& after, std::int32_t y, Index j) {
  const auto label = static_cast<std::size_t>(y);
  const auto other = static_cast<std::size_t>(j);
  return (before[label] - before[other]) - (after[label] - after[other]);
}

using RealMatrix = std::vector<std::vector<Real>>;

// Largest drop of every pair over all corners (or, with more than ten free parameters, 600 random ones) and a
// few random members of the set.
RealMatrix search(const Tiny& tiny, const ThreatSet& set, const std::string& activation, Stream& stream) {
  const auto base = reference(tiny.network);
  const auto parameters = free_parameters(tiny.network, set);
  const std::size_t corners = parameters.size() <= 10 ? std::size_t{1} << parameters.size() : 600;
  const Index classes = tiny.network.classes();
  RealMatrix worst(static_cast<std::size_t>(tiny.data.size()),
                   std::vector<Real>(static_cast<std::size_t>(classes), 0));
  std::vector<Real> position(parameters.size());
  for (std::size_t c = 0; c < corners + 20; ++c) {
    for (std::size_t k = 0; k < position.size(); ++k) {
      if (c >= corners) {
        position[k] = 2 * stream.uniform() - 1;
      } else {
        position[k] = ((parameters.size() <= 10 ? c >> k : stream.word()) & 1U) != 0 ? 1 : -1;
      }
    }
    const auto moved = member(base, parameters, position);
    for (Index n = 0; n < tiny.data.size(); ++n) {
      const auto image = image_of(tiny.data, n);
      const auto before = reference_logits(base, image, activation);
      const auto after = reference_logits(moved, image, activation);
      const auto y = tiny.data.labels[static_cast<std::size_t>(n)];
      for (Index j = 0; j < classes; ++j) {
        auto& entry = worst[static_cast<std::size_t>(n)][static_cast<std::size_t>(j)];
        entry = std::max(entry, drop_of(before, after, y, j));
      }
    }
  }
  return worst;
}

ThreatSet random_set(const Tiny& tiny, Stream& stream) {
  const auto& network = tiny.network;
  LayerSet layers;
  while (layers.empty()) {
    for (int m = 0; m < network.layers(); ++m) {
      if (stream.below(2) == 1) layers.push_back(m);
    }
  }
  const double severity = std::pow(10.0, -3.0 + 3.0 * stream.uniform());
  const bool biases = stream.below(2) == 1;
  switch (stream.below(3)) {
    case 0:
      return linf_set(network, severity, layers, biases);
    case 1:
      return relative_set(network, severity, layers, biases);
    default: {
      std::vector<std::optional<Radius>> radius(static_cast<std::size_t>(network.layers()));
      for (const int m : layers) {
        const auto& weights = network.weights(m);
        Radius box;
        box.weight.resize(weights.weight.rows(), weights.weight.cols());
        for (auto& r : box.weight.reshaped<Eigen::RowMajor>()) r = severity * stream.uniform();
        radius[static_cast<std::size_t>(m)] = std::move(box);
      }
      return box_set(network, severity, std::move(radius), "box");
    }
  }
}

void never_below(const TinyOptions& options, int networks, std::uint32_t point) {
  double tightest = 0;
  for (int t = 0; t < networks; ++t) {
    Stream stream(20260101, {point, static_cast<std::uint32_t>(t), 0});
    const auto net = tiny(stream, options);
    const auto set = random_set(net, stream);
    const auto worst = search(net, set, options.activation, stream);
    for (const auto& bound : all_bounds) {
      if (options.activation != "relu" && !find_bound(bound).refuses(net.network, set).empty()) continue;
      const auto value = value_of(bound, net, set);
      for (Index n = 0; n < value.rows(); ++n) {
        for (Index j = 0; j < value.cols(); ++j) {
          const Real reached = worst[static_cast<std::size_t>(n)][static_cast<std::size_t>(j)];
          INFO(bound << " on network " << t << ", image " << n << ", class " << j << ", " << set.key);
          REQUIRE(static_cast<Real>(value(n, j)) >= reached);
          if (value(n, j) > 0) tightest = std::max(tightest, static_cast<double>(reached / value(n, j)));
        }
      }
    }
  }
  // The comparison has power: somewhere the search comes close to a bound.
  CHECK(tightest > 0.95);
}

}  // namespace

TEST_CASE("no bound is below any member of its set: three layers, relu, all corners") {
  never_below({{2, 2, 2, 2}, "relu", false, false, 3}, 700, 1);
}

TEST_CASE("no bound is below any member of its set: biases and inputs of any sign") {
  never_below({{3, 2, 2}, "relu", true, true, 3}, 700, 2);
  never_below({{2, 3, 3, 3}, "relu", true, true, 2}, 250, 3);
}

TEST_CASE("no bound is below any member of its set: three hidden layers, whose limits are sought, too") {
  never_below({{2, 2, 2, 2, 2}, "relu", false, false, 3}, 150, 8);
  never_below({{2, 3, 3, 3, 2}, "relu", true, true, 3}, 150, 9);
}

TEST_CASE("no bound is below any member of its set: inputs of any sign, no biases") {
  never_below({{2, 2, 2, 2}, "relu", false, true, 2}, 300, 5);
}

TEST_CASE("no bound is below any member of its set: hidden values of any sign") {
  never_below({{2, 2, 2, 2}, "tanh", true, true, 2}, 300, 6);
  never_below({{2, 2, 2, 2}, "sigmoid", true, true, 2}, 300, 7);
}

TEST_CASE("interval equals brute force where at most the last two layers are perturbed") {
  for (std::uint32_t t = 0; t < 300; ++t) {
    Stream stream(7, {10, t, 0});
    const bool deep = t % 2 == 0;
    // Few free parameters, so that every corner is tried: the worst case is a corner here.
    const auto net = tiny(stream, {deep ? std::vector<int>{3, 3, 2, 2} : std::vector<int>{2, 2, 2}, "relu",
                                   false, t % 3 == 0, 3});
    const double eps = 0.3 * stream.uniform();
    const auto set = linf_set(net.network, eps, deep ? LayerSet{2} : LayerSet{0, 1}, false);
    const auto worst = search(net, set, "relu", stream);
    const auto value = value_of("interval", net, set);
    for (Index n = 0; n < value.rows(); ++n) {
      for (Index j = 0; j < value.cols(); ++j) {
        INFO("network " << t << " image " << n << " class " << j);
        const auto reached =
            static_cast<double>(worst[static_cast<std::size_t>(n)][static_cast<std::size_t>(j)]);
        CHECK(value(n, j) == Approx(reached).epsilon(1e-9).margin(1e-12));
      }
    }
  }
}

TEST_CASE("norm-product equals 2 eps times the l1 norm when only the last layer is perturbed") {
  Stream stream(8, {11, 0, 0});
  const auto net = tiny(stream, {{4, 5, 3}, "relu", true, false, 5});
  const auto set = linf_set(net.network, 0.01, {1}, false);
  const auto value = value_of("norm-product", net, set);
  const auto layers = reference(net.network);
  for (Index n = 0; n < net.data.size(); ++n) {
    const auto hidden = [&] {
      Real sum = 0;
      const auto image = image_of(net.data, n);
      for (std::size_t i = 0; i < layers[0].bias.size(); ++i) {
        Real p = layers[0].bias[i];
        for (std::size_t j = 0; j < image.size(); ++j) p += layers[0].weight[i][j] * image[j];
        sum += std::max<Real>(p, 0);
      }
      return static_cast<double>(sum);
    }();
    for (Index j = 0; j < 3; ++j) {
      CHECK(value(n, j) == Approx(j == net.data.labels[static_cast<std::size_t>(n)] ? 0.0 : 0.02 * hidden));
    }
  }
}

// theory, section 2, "a trap": l1 norms of the network whose weights are all shifted by +eps do not bound the
// activations of the other members.
TEST_CASE("the shifted-network reading of the product bound is unsound, ours is not") {
  Network network = multilayer_perceptron("1-2-1-2", "relu", false, {}, {{1}});
  Weights first{Matrix(2, 1), {}}, second{Matrix(1, 2), {}}, third{Matrix(2, 1), {}};
  first.weight << 1.0F, 1.0F;
  second.weight << 2.0F, -1.5F;
  third.weight << 1.0F, 1.0F;
  network = network.with(0, first).with(1, second).with(2, third);
  Tiny net{network, {}};
  net.data.shape = {{1}};
  net.data.classes = 2;
  net.data.images = Matrix::Ones(1, 1);
  net.data.labels = {0};
  net.data.index = {0};
  const double eps = 0.1;
  const auto set = linf_set(network, eps, {0, 1, 2}, false);

  const std::vector<Real> one{1};
  auto moved = reference(network);
  moved[0].weight = {{1.1L}, {0.9L}};
  moved[1].weight = {{2.1L, -1.4L}};
  moved[2].weight = {{0.9L}, {1.1L}};
  const auto before = reference_logits(reference(network), one, "relu");
  const auto after = reference_logits(moved, one, "relu");
  const Real drop = drop_of(before, after, 0, 1);
  CHECK(static_cast<double>(drop) == Approx(0.21));

  // Both logits have equal rows, so ||W_0 - W_1||_1 = 0 and only the last layer's own term is left.
  const double shifted_hidden = 2.1 * 1.1 - 1.4 * 1.1;
  const double unsound = 2 * eps * shifted_hidden;
  CHECK(unsound == Approx(0.154));
  CHECK(unsound < static_cast<double>(drop));

  for (const auto& bound : all_bounds) {
    INFO(bound);
    CHECK(static_cast<Real>(value_of(bound, net, set)(0, 1)) >= drop);
  }
}

TEST_CASE("bounds vanish with the severity and grow with it") {
  for (std::uint32_t t = 0; t < 40; ++t) {
    Stream stream(9, {12, t, 0});
    const auto net = tiny(stream, {{5, 6, 4, 3}, "relu", true, t % 2 == 0, 6});
    for (const auto& bound : all_bounds) {
      for (const bool relative : {false, true}) {
        MatrixD previous;
        for (const double severity : {0.0, 1e-14, 1e-9, 1e-4, 1e-3, 1e-2, 0.1, 1.0}) {
          const LayerSet layers{0, 1, 2};
          const auto set = relative ? relative_set(net.network, severity, layers, true)
                                    : linf_set(net.network, severity, layers, true);
          const auto value = value_of(bound, net, set);
          INFO(bound << " at " << severity);
          REQUIRE(value.allFinite());
          REQUIRE(value.minCoeff() >= 0);
          if (severity == 0) REQUIRE(value.maxCoeff() <= 1e-12);
          if (severity == 1e-14) REQUIRE(value.maxCoeff() <= 1e-9);
          if (severity >= 1e-4) REQUIRE(value.maxCoeff() > 0);
          if (previous.size() > 0) REQUIRE((value - previous).minCoeff() >= -1e-12);
          previous = value;
        }
      }
    }
  }
}

TEST_CASE("norm-vector is never above norm-product") {
  double gain = 1;
  for (std::uint32_t t = 0; t < 400; ++t) {
    Stream stream(10, {13, t, 0});
    const auto net = tiny(stream, {{4, 5, 5, 3}, "relu", t % 3 == 0, t % 2 == 0, 4});
    const auto set = random_set(net, stream);
    const auto vector = value_of("norm-vector", net, set);
    const auto product = value_of("norm-product", net, set);
    for (Index k = 0; k < vector.size(); ++k) {
      const double v = vector.data()[k], p = product.data()[k];
      REQUIRE(v <= p * (1 + 1e-12) + 1e-14);
      if (p > 0) gain = std::min(gain, v / p);
    }
  }
  CHECK(gain < 0.9);
}

TEST_CASE("equal sets have equal bounds") {
  for (std::uint32_t t = 0; t < 100; ++t) {
    Stream stream(11, {14, t, 0});
    const auto net = tiny(stream, {{4, 5, 4, 3}, "relu", true, t % 2 == 0, 4});
    const double eps = 0.05 * stream.uniform();
    const auto uniform = linf_set(net.network, eps, {0, 2}, true);
    auto radius = uniform.radius;
    for (const int m : {0, 2}) {
      auto& box = *radius[static_cast<std::size_t>(m)];
      const auto& weights = net.network.weights(m);
      box.weight = MatrixD::Constant(weights.weight.rows(), weights.weight.cols(), eps);
      box.uniform = 0;
      box.bias = VectorD::Constant(weights.bias.size(), eps);
      box.bias_uniform = 0;
    }
    const auto box = box_set(net.network, eps, radius, "box");
    for (const auto& bound : all_bounds) {
      const auto a = value_of(bound, net, uniform);
      const auto b = value_of(bound, net, box);
      INFO(bound);
      CHECK((a - b).cwiseAbs().maxCoeff() <= 1e-12 * (1 + a.maxCoeff()));
    }
  }
}

TEST_CASE("measured float32 drops stay below value plus arithmetic, in any order of summation") {
  double share = 0;
  for (std::uint32_t t = 0; t < 30; ++t) {
    Stream stream(12, {15, t, 0});
    const auto net = tiny(stream, {{60, 40, 30, 5}, "relu", true, t % 2 == 0, 8});
    const auto layers = LayerSet{0, 1, 2};
    // The smaller eps, the more of a measured drop is rounding; at 0 all of it.
    const double eps = t % 3 == 0 ? 0.0 : std::pow(10.0, -8.0 + 3.0 * stream.uniform());
    const auto set = linf_set(net.network, eps, layers, true);
    const auto& entry_list = all_bounds;
    std::vector<BoundValues> bounds;
    for (const auto& bound : entry_list) {
      const auto& entry = find_bound(bound);
      bounds.push_back(entry.compute({net.network, net.data, set, true, checked_params(entry, {})}));
      REQUIRE(bounds.back().arithmetic.rows() == 8);
      REQUIRE(bounds.back().arithmetic.minCoeff() >= 0);
    }
    const auto run = [&](const Network& network, Index n) {
      std::vector<float> z(net.data.images.row(n).begin(), net.data.images.row(n).end());
      for (int m = 0; m < network.layers(); ++m) {
        const auto& weights = network.weights(m);
        std::vector<float> p;
        for (Index i = 0; i < weights.weight.rows(); ++i) {
          float sum = 0;
          for (const auto j : permutation(stream, static_cast<std::uint32_t>(z.size()))) {
            sum += weights.weight(i, static_cast<Index>(j)) * z[j];
          }
          sum += weights.bias(i);
          p.push_back(m + 1 < network.layers() && sum < 0 ? 0.0F : sum);
        }
        z = std::move(p);
      }
      return z;
    };
    Network moved = net.network;
    for (const int m : layers) {
      Weights weights = moved.weights(m);
      const auto shift = [&](float& w) {
        const double target = static_cast<double>(w) + (stream.below(2) == 1 ? eps : -eps);
        float next = static_cast<float>(target);
        if (std::abs(static_cast<double>(next) - static_cast<double>(w)) > eps)
          next = std::nextafter(next, w);
        w = next;
      };
      for (auto& w : weights.weight.reshaped<Eigen::RowMajor>()) shift(w);
      for (auto& b : weights.bias) shift(b);
      moved = moved.with(m, std::move(weights));
    }
    for (Index n = 0; n < net.data.size(); ++n) {
      const auto before = run(net.network, n);
      const auto after = run(moved, n);
      const auto y = net.data.labels[static_cast<std::size_t>(n)];
      const auto pair = [&](const std::vector<float>& z, Index j) {
        return static_cast<double>(z[static_cast<std::size_t>(y)]) -
               static_cast<double>(z[static_cast<std::size_t>(j)]);
      };
      for (Index j = 0; j < 5; ++j) {
        const double drop = pair(before, j) - pair(after, j);
        for (std::size_t b = 0; b < bounds.size(); ++b) {
          INFO(all_bounds[b] << " eps " << eps);
          REQUIRE(drop <= bounds[b].value(n, j) + bounds[b].arithmetic(n, j));
          if (eps == 0 && j != y) share = std::max(share, drop / bounds[b].arithmetic(n, j));
        }
      }
    }
  }
  // Worst-case rounding grows with the fan-in, typical rounding with its root: the term is not wildly larger.
  CHECK(share > 1e-4);
}

TEST_CASE(
    "measured drops of the library's own float32 pass stay below value plus arithmetic, smooth layers too") {
  for (const std::string activation : {"relu", "tanh", "sigmoid"}) {
    for (std::uint32_t t = 0; t < 20; ++t) {
      Stream stream(14, {17, t, 0});
      const auto net = tiny(stream, {{30, 20, 20, 4}, activation, true, true, 10});
      const double eps = t % 2 == 0 ? 0.0 : 1e-7;
      const auto set = linf_set(net.network, eps, {0, 1, 2}, false);
      const MatrixD exact = [&] {
        MatrixD rows(10, 4);
        for (Index n = 0; n < 10; ++n) {
          const auto z = reference_logits(reference(net.network), image_of(net.data, n), activation);
          for (Index j = 0; j < 4; ++j) rows(n, j) = static_cast<double>(z[static_cast<std::size_t>(j)]);
        }
        return rows;
      }();
      const MatrixD single = logits(net.network, net.network.view(), net.data.images).cast<double>();
      for (const auto& bound : all_bounds) {
        const auto& entry = find_bound(bound);
        if (!entry.refuses(net.network, set).empty()) continue;
        const auto values = entry.compute({net.network, net.data, set, true, checked_params(entry, {})});
        for (Index n = 0; n < 10; ++n) {
          const auto y = net.data.labels[static_cast<std::size_t>(n)];
          for (Index j = 0; j < 4; ++j) {
            const double error = std::abs((single(n, y) - single(n, j)) - (exact(n, y) - exact(n, j)));
            INFO(activation << " " << bound);
            REQUIRE(error <= values.arithmetic(n, j));
          }
        }
      }
    }
  }
}

TEST_CASE("bounds refuse what they do not cover, with the reason") {
  Stream stream(13, {16, 0, 0});
  const auto net = tiny(stream, {{3, 3, 2}, "relu", false, false, 2});
  auto bits = linf_set(net.network, 0.1, {0}, false);
  bits.ball = Ball::bits;
  for (const auto& entry : bound_table()) {
    INFO(entry.name);
    CHECK(entry.refuses(net.network, linf_set(net.network, 0.1, {0}, false)).empty());
    CHECK_THAT(entry.refuses(net.network, bits), Catch::Contains("no bound of the real-valued kind"));
  }
  CHECK_THROWS_WITH(find_bound("norm-produkt"), Catch::Contains("did you mean 'norm-product'?"));
}

TEST_CASE("the margin drop that pairwise drops allow") {
  MatrixD margins(2, 3), value(2, 3);
  margins << 0, 1, 3, 2, 0, 5;
  value << 0, 0.5, 4, 1, 0, 1;
  const auto drop = margin_drop_bound(margins, value, {0, 1});
  CHECK(drop(0) == Approx(2.0));  // margin 1, worst -1
  CHECK(drop(1) == Approx(1.0));
}
