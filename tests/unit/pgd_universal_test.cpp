#include "../../attacks/pgd/blocks.hpp"

#include <cmath>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/attacks/pgd.hpp>
#include <temblor/perturb/project.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

double mean_loss(const Network& network, const Dataset& data, const DenseDelta& delta, pgd::Loss loss) {
  Workspace workspace(network);
  pgd::Score score;
  pgd::score_logits(logits(network, workspace.apply(delta), data.images), data.labels, loss, nullptr, score);
  return score.loss / static_cast<double>(data.size());
}

double mean_loss(const Network& network, const Dataset& data, pgd::Loss loss = pgd::Loss::cross_entropy) {
  return mean_loss(
      network, data,
      DenseDelta{std::vector<std::optional<Weights>>(static_cast<std::size_t>(network.layers()))}, loss);
}

void check_in_box(const Network& network, const ThreatSet& set, const DenseDelta& delta) {
  for (int layer = 0; layer < network.layers(); ++layer) {
    const auto m = static_cast<std::size_t>(layer);
    REQUIRE(delta.layers[m].has_value() == set.radius[m].has_value());
    if (!delta.layers[m]) continue;
    const Weights& base = network.weights(layer);
    const Radius& radius = *set.radius[m];
    for (Index i = 0; i < base.weight.size(); ++i) {
      const double r = radius.weight.size() != 0 ? radius.weight.data()[i] : radius.uniform;
      REQUIRE(within(base.weight.data()[i], delta.layers[m]->weight.data()[i], r));
    }
    for (Index i = 0; i < base.bias.size(); ++i) {
      const double r = radius.bias.size() != 0 ? radius.bias[i] : radius.bias_uniform;
      REQUIRE(within(base.bias[i], delta.layers[m]->bias[i], r));
    }
  }
}

Matrix with_zeros(Index rows, Index cols, double share, std::uint64_t seed) {
  Stream stream(seed, {});
  Matrix matrix(rows, cols);
  for (Index i = 0; i < matrix.size(); ++i) {
    matrix.data()[i] = stream.uniform() < share ? 0.0F : static_cast<float>(stream.normal());
  }
  return matrix;
}

}  // namespace

TEST_CASE("sparse products equal dense ones at every edge of tiles, panels and vectors") {
  for (const Index columns : {1, 7, 97, 98, 99, 200}) {
    for (const Index outputs : {1, 8, 9, 63, 64, 65, 130}) {
      for (const double zeros : {0.0, 0.5, 1.0}) {
        const Matrix a = with_zeros(5, columns, zeros, 1);
        const Matrix b = with_zeros(columns, outputs, 0.2, 2);
        pgd::Panels packed, product;
        pgd::pack(b, packed);
        product.resize(5, outputs);
        product.values.setOnes();
        pgd::multiply_add(pgd::sparse_tiles(a, 98), packed, product);
        Matrix result;
        pgd::unpack(product, result);
        REQUIRE((result - (a * b).eval()).array().isApproxToConstant(1.0F, 1e-4F));

        const Matrix g = with_zeros(5, outputs, 0.2, 3);
        pgd::pack(g, packed);
        product.resize(columns, outputs);
        product.values.setZero();
        pgd::multiply_add(pgd::sparse_transposed(a), packed, product);
        pgd::unpack_transposed(product, result);
        REQUIRE((result - g.transpose() * a).cwiseAbs().maxCoeff() < 1e-4F);
      }
    }
  }
}

TEST_CASE("block gradients equal those of one plain backward pass, dense and sparse, in any cut") {
  for (const bool biases : {false, true}) {
    const Network network = random_network("9-7-5-3", 3, biases);
    for (const bool sparse : {false, true}) {
      Dataset data = random_dataset(network, 500, 4);
      if (sparse) data.images = with_zeros(500, 9, 0.5, 5);
      for (const LayerSet& layers : {LayerSet{0, 1, 2}, LayerSet{1}, LayerSet{0, 2}}) {
        for (const auto loss : {pgd::Loss::cross_entropy, pgd::Loss::margin}) {
          Activations activations;
          forward(network, network.view(), data.images, activations);
          Matrix grad_logits;
          pgd::Score expected;
          pgd::score_logits(activations.outputs.back(), data.labels, loss, &grad_logits, expected);
          std::vector<Weights> full(3);
          std::vector<Weights*> wanted;
          for (int m = 0; m < 3; ++m) {
            full[static_cast<std::size_t>(m)].weight = 0.0F * network.weights(m).weight;
            full[static_cast<std::size_t>(m)].bias = 0.0F * network.weights(m).bias;
            wanted.push_back(&full[static_cast<std::size_t>(m)]);
          }
          backward(network, network.view(), data.images, activations, grad_logits, wanted);

          for (const Index batch : {0, 130}) {
            const pgd::Blocks blocks(network, data, layers, batch, loss);
            CHECK(blocks.batches() == (batch == 0 ? 1 : 4));
            std::vector<Weights> sum(layers.size());
            pgd::Score score;
            for (std::size_t b = 0; b < blocks.batches(); ++b) {
              std::vector<Weights> grads;
              const pgd::Score part = blocks.run(network.view(), b, true, grads);
              score.loss += part.loss;
              score.correct += part.correct;
              for (std::size_t k = 0; k < layers.size(); ++k) {
                if (b == 0) sum[k] = grads[k];
                if (b == 0) continue;
                sum[k].weight += grads[k].weight;
                sum[k].bias += grads[k].bias;
              }
            }
            CHECK(score.loss == Approx(expected.loss));
            CHECK(score.correct == expected.correct);
            CHECK(blocks.run_all(network.view()).loss == Approx(expected.loss));
            for (std::size_t k = 0; k < layers.size(); ++k) {
              const Weights& whole = full[static_cast<std::size_t>(layers[k])];
              CHECK((sum[k].weight - whole.weight).norm() < 1e-5F * (1.0F + whole.weight.norm()));
              CHECK((sum[k].bias - whole.bias).norm() < 1e-5F * (1.0F + whole.bias.norm()));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("universal weight-pgd never leaves its set, and severity 0 changes nothing") {
  for (const bool biases : {false, true}) {
    const Network network = random_network("6-5-4-3", 7, biases);
    const Dataset data = random_dataset(network, 40, 8);
    std::vector<std::optional<Radius>> box(3);
    box[1] = Radius{0.0, 0.01 * MatrixD::Random(4, 5).cwiseAbs()};
    for (const double severity : {0.0, 1e-4, 0.03}) {
      const std::vector<ThreatSet> sets = {
          linf_set(network, severity, {0, 1, 2}, biases), relative_set(network, severity, {0, 2}, biases),
          l2_set(network, severity, {0, 1}), box_set(network, 1, box, "test")};
      for (const ThreatSet& set : sets) {
        for (const auto direction : {pgd::Direction::sign, pgd::Direction::normalised}) {
          pgd::Options options;
          options.steps = 10;
          options.step = 0.3;
          options.direction = direction;
          const DenseDelta delta = pgd::universal(network, data, set, options, Stream(1, {}));
          if (set.ball == Ball::l2) {
            for (const int layer : set.layers) {
              const Matrix& before = network.weights(layer).weight;
              const Matrix& after = delta.layers[static_cast<std::size_t>(layer)]->weight;
              const double length = (after.cast<double>() - before.cast<double>()).norm();
              CHECK(length <= severity);
              CHECK(length >= 0.9 * severity);
            }
          } else {
            check_in_box(network, set, delta);
          }
          if (severity == 0.0 && set.ball != Ball::box) {
            for (const int layer : set.layers) {
              CHECK(same_bits(network.weights(layer), *delta.layers[static_cast<std::size_t>(layer)]));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("more steps are never weaker, and the kept loss is the loss of what is returned") {
  const Network network = random_network("6-5-4-3", 9, true);
  const Dataset data = random_dataset(network, 60, 10);
  const ThreatSet set = linf_set(network, 0.05, {0, 1, 2}, true);
  for (const auto loss : {pgd::Loss::cross_entropy, pgd::Loss::margin}) {
    pgd::Options options;
    options.loss = loss;
    options.step = 0.4;
    double last = -1e300;
    for (const int steps : {1, 2, 3, 5, 8, 20}) {
      options.steps = steps;
      const double now =
          mean_loss(network, data, pgd::universal(network, data, set, options, Stream(1, {})), loss);
      CHECK(now >= last - 1e-9);
      last = now;
    }
    CHECK(last > mean_loss(network, data, loss) + 0.01);
  }
}

TEST_CASE("universal weight-pgd beats random corners of the same set by a wide margin") {
  const Network network = random_network("8-8-6-4", 11, false);
  const Dataset data = random_dataset(network, 100, 12);
  const double eps = 0.02;
  const ThreatSet set = linf_set(network, eps, {0, 1, 2}, false);
  const double clean = mean_loss(network, data);
  for (const Index batch : {0, 30}) {
    pgd::Options options;
    options.batch = batch;
    options.steps = 40;
    options.step = 0.1;
    const double attacked = mean_loss(
        network, data, pgd::universal(network, data, set, options, Stream(2, {})), pgd::Loss::cross_entropy);
    double random = -1e300;
    Stream stream(3, {});
    for (int trial = 0; trial < 30; ++trial) {
      DenseDelta corner;
      for (int layer = 0; layer < 3; ++layer) {
        Weights weights = network.weights(layer);
        for (Index i = 0; i < weights.weight.size(); ++i) {
          weights.weight.data()[i] += static_cast<float>(stream.below(2) == 0 ? eps : -eps);
        }
        corner.layers.emplace_back(weights);
      }
      random = std::max(random, mean_loss(network, data, corner, pgd::Loss::cross_entropy));
    }
    CHECK(attacked - clean > 2.0 * (random - clean));
  }
}

TEST_CASE("keep=accuracy returns the lowest accuracy seen, trials differ by their stream") {
  const Network network = random_network("8-8-6-4", 13, false);
  const Dataset data = random_dataset(network, 100, 14);
  const ThreatSet set = linf_set(network, 0.05, {0, 1, 2}, false);
  pgd::Options options;
  options.steps = 15;
  options.step = 0.5;
  const auto correct = [&](const DenseDelta& delta) {
    Workspace workspace(network);
    pgd::Score score;
    pgd::score_logits(logits(network, workspace.apply(delta), data.images), data.labels, options.loss,
                      nullptr, score);
    return score.correct;
  };
  const DenseDelta by_loss = pgd::universal(network, data, set, options, Stream(5, {0, 1, 0}));
  options.keep_accuracy = true;
  CHECK(correct(pgd::universal(network, data, set, options, Stream(5, {0, 1, 0}))) <= correct(by_loss));
  options.step = 0.01;
  const DenseDelta one = pgd::universal(network, data, set, options, Stream(5, {0, 1, 0}));
  const DenseDelta two = pgd::universal(network, data, set, options, Stream(5, {0, 2, 0}));
  CHECK_FALSE(same_bits(*one.layers[0], *two.layers[0]));
}
