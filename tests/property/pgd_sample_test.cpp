#include "../../attacks/pgd/slack.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>
#include <support/gradients.hpp>
#include <support/networks.hpp>
#include <support/tiny.hpp>

#include <temblor/attacks/pgd.hpp>
#include <temblor/base/error.hpp>
#include <temblor/perturb/project.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class Row>
double margin_of(const Row& logits, std::int32_t label) {
  double margin = infinity;
  for (Index j = 0; j < logits.size(); ++j) {
    if (j != label)
      margin = std::min(margin, static_cast<double>(logits[label]) - static_cast<double>(logits[j]));
  }
  return margin;
}

/// Logits of image n by an ordinary forward pass with the weights it sees.
Eigen::RowVectorXf materialised(const Network& network, const Dataset& data, const SampleDelta& delta,
                                Index n) {
  const Matrix image = delta.seen(n, data.images.row(n));
  const auto weights = perturbed_weights(network, delta, n, data.images.row(n));
  WeightView view = network.view();
  for (std::size_t m = 0; m < weights.size(); ++m) {
    if (weights[m]) view[m] = &*weights[m];
  }
  return logits(network, view, image).row(0);
}

double drop(const Network& network, const Dataset& data, const SampleDelta& delta, Index n) {
  const std::int32_t label = data.labels[static_cast<std::size_t>(n)];
  const Eigen::RowVectorXf clean = logits(network, network.view(), data.images.row(n)).row(0);
  return margin_of(clean, label) - margin_of(materialised(network, data, delta, n), label);
}

std::vector<ThreatSet> sets_of(const Network& network, double size, bool biases) {
  std::vector<std::optional<Radius>> box(static_cast<std::size_t>(network.layers()));
  const Weights& last = network.weights(network.layers() - 1);
  box.back() = Radius{size, {}, 0.5 * size, {}};
  box.front() = Radius{
      0,
      size * MatrixD::Random(network.weights(0).weight.rows(), network.weights(0).weight.cols()).cwiseAbs()};
  if (last.bias.size() == 0) box.back()->bias_uniform = 0;
  const LayerSet all = parse_layers("all", network);
  return {linf_set(network, size, all, biases),
          relative_set(network, size, all, biases),
          l2_set(network, size, all),
          l2_row_set(network, size, all),
          with_input(linf_set(network, size, {network.layers() - 1}, biases), size),
          with_input(l2_row_set(network, size, all), 0.5 * size),
          box_set(network, 1, box, "test"),
          linf_set(network, size, {network.layers() - 1}, biases),
          linf_set(network, size, {0}, biases)};
}

pgd::Options strong() {
  pgd::Options options;
  options.loss = pgd::Loss::margin;
  options.steps = 40;
  options.step = 0.15;
  options.polish = 1;
  return options;
}

}  // namespace

TEST_CASE("slack reproduces the ordinary forward pass with the weights it stands for") {
  for (const std::string activation : {"relu", "tanh", "sigmoid"}) {
    for (const bool biases : {false, true}) {
      Stream stream(1, {});
      const Tiny made = tiny(stream, {{6, 7, 5, 4}, activation, biases, true, 70});
      for (const ThreatSet& set : sets_of(made.network, 0.1, biases)) {
        CAPTURE(set.key, activation, biases);
        pgd::Options options = strong();
        if (set.ball == Ball::l2) options.polish = 0;
        const SampleDelta delta = pgd::per_sample(made.network, made.data, set, options, Stream(2, {}));
        pgd::Slack slack;
        for (const int layer : set.layers) {
          slack.push_back(delta.slack[static_cast<std::size_t>(layer)]);
          REQUIRE(slack.back().rows() == 70);
          if (set.ball != Ball::l2) REQUIRE(slack.back().cwiseAbs().maxCoeff() <= 1.0F);
          if (set.ball == Ball::l2) REQUIRE(slack.back().cast<double>().rowwise().norm().maxCoeff() <= 1.0);
        }
        const pgd::SlackNetwork network(made.network, set);
        pgd::SlackBlock block(network, made.data.images);
        if (set.input > 0) block.see(delta.images);
        const Matrix predicted = block.forward(slack);
        for (Index n = 0; n < 70; ++n) {
          const auto logits = materialised(made.network, made.data, delta, n);
          const float scale = 1e-5F * (1.0F + logits.cwiseAbs().maxCoeff());
          REQUIRE((predicted.row(n) - logits).cwiseAbs().maxCoeff() < scale);
        }
      }
    }
  }
}

TEST_CASE("the gradient by slack equals finite differences, inputs of any sign") {
  for (const std::string activation : {"relu", "tanh", "sigmoid"}) {
    for (const bool biases : {false, true}) {
      Stream stream(3, {});
      const Tiny made = tiny(stream, {{4, 5, 4, 3}, activation, biases, true, 3});
      for (const ThreatSet& set : sets_of(made.network, 0.2, biases)) {
        CAPTURE(set.key, activation, biases);
        const pgd::SlackNetwork network(made.network, set);
        pgd::SlackBlock block(network, made.data.images);
        pgd::Slack slack, grad;
        for (std::size_t k = 0; k < set.layers.size(); ++k) {
          slack.emplace_back(3, network.numbers(k));
          for (auto& s : slack.back().reshaped<Eigen::RowMajor>())
            s = static_cast<float>(stream.uniform() - 0.5);
        }
        Matrix by_logits(3, 3);
        for (auto& g : by_logits.reshaped<Eigen::RowMajor>()) g = static_cast<float>(stream.normal());
        const auto loss = [&] {
          return block.forward(slack).cast<double>().cwiseProduct(by_logits.cast<double>()).sum();
        };
        loss();
        block.backward(slack, by_logits, false, grad);
        for (std::size_t k = 0; k < slack.size(); ++k) {
          const Matrix expected = grad[k];
          CHECK(gradient_error(loss, slack[k].data(), expected.data(), slack[k].size(), 0x1p-13F) < 2e-2);
        }
        if (set.input == 0) continue;
        const Matrix expected = block.image_gradient();
        Matrix images = made.data.images;
        const auto by_image = [&] {
          block.see(images);
          return loss();
        };
        CHECK(gradient_error(by_image, images.data(), expected.data(), images.size(), 0x1p-13F) < 2e-2);
      }
    }
  }
}

TEST_CASE("one linear layer: the attack is exact, 2 eps (||x||_1 + 1 with biases)") {
  for (const bool biases : {false, true}) {
    Stream stream(5, {});
    const Tiny made = tiny(stream, {{7, 4}, "relu", biases, true, 20});
    const double eps = 0.03;
    pgd::Options options = strong();
    options.target = pgd::Target::all;
    options.steps = 2;
    options.step = 2;
    const ThreatSet set = linf_set(made.network, eps, {0}, biases);
    const SampleDelta delta = pgd::per_sample(made.network, made.data, set, options, Stream(6, {}));
    for (Index n = 0; n < 20; ++n) {
      const double size =
          static_cast<double>(made.data.images.row(n).cwiseAbs().sum()) + (biases ? 1.0 : 0.0);
      CHECK(drop(made.network, made.data, delta, n) == Approx(2 * eps * size).epsilon(1e-5));
    }
  }
}

TEST_CASE("one hidden layer: the attack reaches the worst corner of all weights, and never passes it") {
  Stream stream(7, {});
  double reached = 0;
  double worst_sum = 0;
  for (int round = 0; round < 12; ++round) {
    const bool biases = round % 2 == 1;
    const Tiny made = tiny(stream, {biases ? std::vector<int>{2, 2, 2} : std::vector<int>{2, 3, 2}, "relu",
                                    biases, round % 3 == 0, 3});
    const ThreatSet set = linf_set(made.network, round % 4 < 2 ? 0.05 : 0.4, {0, 1}, biases);
    pgd::Options options = strong();
    options.restarts = 6;
    const SampleDelta delta = pgd::per_sample(made.network, made.data, set, options, Stream(8, {}));
    const auto base = reference(made.network);
    const auto parameters = free_parameters(made.network, set);
    REQUIRE(parameters.size() == 12);
    for (Index n = 0; n < 3; ++n) {
      const auto image = image_of(made.data, n);
      const std::int32_t label = made.data.labels[static_cast<std::size_t>(n)];
      const auto margin = [&](const ReferenceNetwork& network) {
        const auto f = reference_logits(network, image, "relu");
        return static_cast<double>(f[static_cast<std::size_t>(label)] -
                                   f[static_cast<std::size_t>(1 - label)]);
      };
      double lowest = infinity;
      for (unsigned corner = 0; corner < 4096; ++corner) {
        std::vector<Real> position(12);
        for (unsigned k = 0; k < 12; ++k) position[k] = (corner >> k & 1U) == 0 ? -1 : 1;
        lowest = std::min(lowest, margin(member(base, parameters, position)));
      }
      const double worst = margin(base) - lowest;
      const double attack = drop(made.network, made.data, delta, n);
      CHECK(attack <= worst * (1 + 1e-5) + 1e-6);
      reached += attack;
      worst_sum += worst;
    }
  }
  CHECK(reached > 0.995 * worst_sum);
}

TEST_CASE("attacks on single images: more steps and more targets are never weaker, severity 0 does nothing") {
  Stream stream(9, {});
  const Tiny made = tiny(stream, {{6, 8, 6, 4}, "relu", false, false, 30});
  for (const ThreatSet& set :
       {linf_set(made.network, 0.1, {0, 1, 2}, false), l2_set(made.network, 0.2, {0, 1, 2})}) {
    pgd::Options options = strong();
    if (set.ball == Ball::l2) options.direction = pgd::Direction::normalised;
    options.soft =
        0;  // with relaxed slopes the first steps of a longer ascent are not those of a shorter one
    options.polish = 0;
    std::vector<double> last(30, -infinity);
    for (const int steps : {1, 3, 10, 40}) {
      options.steps = steps;
      const SampleDelta delta = pgd::per_sample(made.network, made.data, set, options, Stream(10, {}));
      for (Index n = 0; n < 30; ++n) {
        const double now = drop(made.network, made.data, delta, n);
        CHECK(now >= last[static_cast<std::size_t>(n)] - 1e-5);
        last[static_cast<std::size_t>(n)] = now;
      }
    }
    options.target = pgd::Target::all;
    const SampleDelta all = pgd::per_sample(made.network, made.data, set, options, Stream(10, {}));
    for (Index n = 0; n < 30; ++n) {
      CHECK(drop(made.network, made.data, all, n) >= last[static_cast<std::size_t>(n)] - 1e-5);
    }
  }
  const SampleDelta none = pgd::per_sample(
      made.network, made.data, linf_set(made.network, 0, {0, 1, 2}, false), strong(), Stream(1, {}));
  for (Index n = 0; n < 30; ++n) CHECK(drop(made.network, made.data, none, n) == 0.0);
}

TEST_CASE("an image's own perturbation is at least as bad as the one for all images") {
  Stream stream(11, {});
  const Tiny made = tiny(stream, {{8, 10, 8, 5}, "relu", true, false, 60});
  const ThreatSet set = linf_set(made.network, 0.03, {0, 1, 2}, true);
  pgd::Options options = strong();
  options.target = pgd::Target::all;
  const SampleDelta own = pgd::per_sample(made.network, made.data, set, options, Stream(12, {}));
  const DenseDelta common = pgd::universal(made.network, made.data, set, options, Stream(12, {}));
  Workspace workspace(made.network);
  const Matrix clean = logits(made.network, made.network.view(), made.data.images);
  const Matrix after = logits(made.network, workspace.apply(common), made.data.images);
  double own_sum = 0;
  double common_sum = 0;
  for (Index n = 0; n < 60; ++n) {
    const std::int32_t label = made.data.labels[static_cast<std::size_t>(n)];
    const double by_common = margin_of(clean.row(n), label) - margin_of(after.row(n), label);
    const double by_own = drop(made.network, made.data, own, n);
    CHECK(by_own >= by_common - 1e-5);
    own_sum += by_own;
    common_sum += by_common;
  }
  CHECK(own_sum > 1.5 * common_sum);
}

TEST_CASE("relaxed slopes, jittered restarts and polish each find more, every loss climbs") {
  Stream stream(13, {});
  const Tiny made = tiny(stream, {{10, 16, 12, 8, 5}, "relu", false, false, 100});
  const ThreatSet set = linf_set(made.network, 0.04, {0, 1, 2, 3}, false);
  const auto mean = [&](const pgd::Options& options) {
    const SampleDelta delta = pgd::per_sample(made.network, made.data, set, options, Stream(14, {}));
    double sum = 0;
    for (Index n = 0; n < 100; ++n) sum += drop(made.network, made.data, delta, n);
    return sum / 100;
  };
  pgd::Options options = strong();
  options.steps = 60;
  options.soft = 0;
  options.polish = 0;
  const double plain = mean(options);
  options.soft = 0.5;
  const double soft = mean(options);
  options.restarts = 5;
  const double restarts = mean(options);
  options.polish = 2;
  const double polished = mean(options);
  CHECK(soft > plain * 1.005);
  CHECK(restarts > soft * 1.005);
  CHECK(polished > restarts);
  options.loss = pgd::Loss::cross_entropy;
  CHECK(mean(options) > 0.8 * polished);
}

TEST_CASE("what the attack on single images cannot do is refused") {
  const Network network = random_network("3-3-2", 1, false);
  CHECK_THROWS_WITH(pgd::check_per_sample(network, {}, bits_set(network, "flips", 1, {0})),
                    Catch::Contains("bit-flip"));
  CHECK_NOTHROW(pgd::check_per_sample(network, {}, linf_set(network, 1, {0, 1}, false)));
}

TEST_CASE("one linear layer: weights and image together reach their closed form, within the stated range") {
  Stream stream(21, {});
  Tiny made = tiny(stream, {{7, 4}, "relu", true, false, 12});
  made.data.least = Vector::Zero(7);
  made.data.most = Vector::Ones(7);
  const double eps = 0.03, reach = 0.1;
  const auto set = with_input(linf_set(made.network, eps, {0}, true), reach);
  pgd::Options options = strong();
  options.target = pgd::Target::all;
  options.steps = 60;
  const SampleDelta delta = pgd::per_sample(made.network, made.data, set, options, Stream(22, {}));
  REQUIRE(delta.images.rows() == 12);
  const Weights& weights = made.network.weights(0);
  double share = 0;
  for (Index n = 0; n < 12; ++n) {
    const Index y = made.data.labels[static_cast<std::size_t>(n)];
    double lowest = 1e9;
    for (Index j = 0; j < 4; ++j) {
      if (j == y) continue;
      double least = static_cast<double>(weights.bias[y]) - static_cast<double>(weights.bias[j]) - 2 * eps;
      for (Index i = 0; i < 7; ++i) {
        const double x = static_cast<double>(made.data.images(n, i));
        const double w =
            static_cast<double>(weights.weight(y, i)) - static_cast<double>(weights.weight(j, i));
        // w x - 2 eps x is linear where x >= 0: the least is at an end.
        const double low = std::max(0.0, x - reach), high = std::min(1.0, x + reach);
        least += std::min((w - 2 * eps) * low, (w - 2 * eps) * high);
      }
      lowest = std::min(lowest, least);
    }
    const auto margin = static_cast<double>(
        margin_of(materialised(made.network, made.data, delta, n), static_cast<std::int32_t>(y)));
    CHECK(margin >= lowest - 1e-5);
    share += margin - lowest;
    for (Index i = 0; i < 7; ++i) {
      CHECK(within(made.data.images(n, i), delta.images(n, i), reach));
      CHECK(delta.images(n, i) >= 0.0F);
      CHECK(delta.images(n, i) <= 1.0F);
    }
  }
  CHECK(share / 12 < 1e-3);
}
