#include <algorithm>
#include <bit>
#include <cmath>

#include <catch2/catch.hpp>
#include <support/tiny.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/perturb/project.hpp>
#include <temblor/perturb/sample.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Perturbation attacked(const Tiny& tiny, double eps, const LayerSet& layers,
                      const std::map<std::string, std::string>& given) {
  const auto& entry = find_attack("k-weights");
  const Params params("attack 'k-weights'", entry.params, given);
  const AttackContext context{tiny.network, tiny.data, find_format("fp32"), layers, eps, params};
  return make_attack(entry, context)->perturb(Stream(1, {}));
}

double margin(const Network& network, const WeightView& view, const Matrix& image, std::int32_t label) {
  const Matrix values = logits(network, view, image);
  double lowest = std::numeric_limits<double>::infinity();
  for (Index j = 0; j < values.cols(); ++j) {
    if (j == label) continue;
    lowest = std::min(lowest, static_cast<double>(values(0, label)) - static_cast<double>(values(0, j)));
  }
  return lowest;
}

double margin_under(const Tiny& tiny, const SparseDelta& delta, Index n) {
  Workspace workspace(tiny.network);
  return margin(tiny.network, workspace.apply(delta), tiny.data.images.row(n),
                tiny.data.labels[static_cast<std::size_t>(n)]);
}

/// Every weight of the layers at both ends.
std::vector<Change> all_changes(const Network& network, const LayerSet& layers, double eps) {
  std::vector<Change> all;
  for (const int layer : layers) {
    const Matrix& weight = network.weights(layer).weight;
    for (Index i = 0; i < weight.size(); ++i) {
      for (const double side : {-eps, eps}) {
        all.push_back({static_cast<std::uint32_t>(layer), static_cast<std::uint32_t>(i),
                       moved(weight.data()[i], side, eps)});
      }
    }
  }
  return all;
}

}  // namespace

TEST_CASE("k weights: one and two weights for each image, against every choice") {
  for (const std::string activation : {"relu", "tanh"}) {
    int images = 0;
    int worst_one = 0;
    int worst_two = 0;
    double lost = 0;
    double fallen = 0;
    for (std::uint32_t t = 0; t < 30; ++t) {
      Stream stream(5, {t, 0, 0});
      const auto made = tiny(stream, {.sizes = {4, 5, 3, 3},
                                      .activation = activation,
                                      .biases = t % 2 == 0,
                                      .signed_inputs = t % 3 == 0,
                                      .images = 2});
      const LayerSet layers = t % 4 == 0 ? LayerSet{0, 2} : LayerSet{0, 1, 2};
      const double eps = std::pow(10.0, -2 + 2 * stream.uniform());
      const std::map<std::string, std::string> given{{"scope", "sample"}, {"target", "all"}};
      auto one = given;
      auto two = given;
      one["weights"] = "1";
      two["weights"] = "2";
      const auto single = std::get<SampleDelta>(attacked(made, eps, layers, one).delta);
      const auto pair = std::get<SampleDelta>(attacked(made, eps, layers, two).delta);
      const auto all = all_changes(made.network, layers, eps);
      for (Index n = 0; n < made.data.size(); ++n) {
        const double clean = margin_under(made, {}, n);
        double lowest_one = clean;
        double lowest_two = clean;
        for (std::size_t a = 0; a < all.size(); ++a) {
          lowest_one = std::min(lowest_one, margin_under(made, {{all[a]}}, n));
          for (std::size_t b = a + 1; b < all.size(); ++b) {
            if (all[a].layer == all[b].layer && all[a].index == all[b].index) continue;
            lowest_two = std::min(lowest_two, margin_under(made, {{all[a], all[b]}}, n));
          }
        }
        lowest_two = std::min(lowest_one, lowest_two);
        const double reached_one = margin_under(made, single.changes[static_cast<std::size_t>(n)], n);
        const double reached_two = margin_under(made, pair.changes[static_cast<std::size_t>(n)], n);
        REQUIRE(reached_one >= lowest_one);
        REQUIRE(reached_two >= lowest_two);
        REQUIRE(reached_two <= reached_one + 1e-6);
        ++images;
        worst_one += reached_one <= lowest_one + 1e-6;
        worst_two += reached_two <= lowest_two + 1e-6;
        lost += reached_two - lowest_two;
        fallen += clean - lowest_two;
      }
    }
    CAPTURE(activation, images, worst_one, worst_two, lost / fallen);
    CHECK(worst_one >= images * 95 / 100);
    CHECK(worst_two >= images * 80 / 100);
    CHECK(lost <= 0.03 * fallen);
  }
}

TEST_CASE("k weights: the drop of each image stays below every bound on its set") {
  int compared = 0;
  for (std::uint32_t t = 0; t < 12; ++t) {
    Stream stream(6, {t, 0, 0});
    const auto made =
        tiny(stream, {.sizes = {5, 6, 4, 3}, .biases = t % 2 == 0, .signed_inputs = t % 3 == 0, .images = 3});
    const LayerSet layers{0, 1, 2};
    const auto delta = std::get<SampleDelta>(
        attacked(made, 0.1, layers, {{"scope", "sample"}, {"weights", std::to_string(1 + t % 4)}}).delta);
    for (const auto& entry : bound_table()) {
      if (!entry.refuses(made.network, delta.set).empty()) continue;
      const auto values = entry
                              .compute({.network = made.network,
                                        .data = made.data,
                                        .set = delta.set,
                                        .arithmetic = true,
                                        .params = checked_params(entry, {})})
                              .value;
      for (Index n = 0; n < made.data.size(); ++n) {
        const auto label = made.data.labels[static_cast<std::size_t>(n)];
        const auto own = perturbed_weights(made.network, delta, n, made.data.images.row(n));
        WeightView view = made.network.view();
        for (std::size_t m = 0; m < own.size(); ++m) {
          if (own[m]) view[m] = &*own[m];
        }
        const Matrix before = logits(made.network, made.network.view(), made.data.images.row(n));
        const Matrix after = logits(made.network, view, made.data.images.row(n));
        for (Index j = 0; j < before.cols(); ++j) {
          if (j == label) continue;
          const double drop = (static_cast<double>(before(0, label)) - static_cast<double>(before(0, j))) -
                              (static_cast<double>(after(0, label)) - static_cast<double>(after(0, j)));
          INFO(entry.name);
          REQUIRE(drop <= values(n, j) + 1e-5);
          ++compared;
        }
      }
    }
  }
  CHECK(compared >= 12 * 3 * 2 * 2);
}

TEST_CASE("k weights: inference image by image gives the floats of each image's own network") {
  Stream stream(7, {});
  const auto made =
      tiny(stream, {.sizes = {9, 12, 7, 4}, .biases = true, .signed_inputs = true, .images = 40});
  const auto perturbation =
      attacked(made, 0.3, {0, 1, 2}, {{"scope", "sample"}, {"weights", "6"}, {"sweeps", "0"}});
  const auto& delta = std::get<SampleDelta>(perturbation.delta);
  const SampleForward forward(made.network, delta);
  SampleForward::Buffers buffers;
  int changed = 0;
  for (Index n = 0; n < made.data.size(); ++n) {
    const auto own = perturbed_weights(made.network, delta, n, made.data.images.row(n));
    WeightView view = made.network.view();
    for (std::size_t m = 0; m < own.size(); ++m) {
      if (own[m]) view[m] = &*own[m];
    }
    const Matrix expected = logits(made.network, view, made.data.images.row(n));
    const Matrix& values = forward.run(n, made.data.images.row(n).data(), buffers);
    for (Index j = 0; j < expected.cols(); ++j) {
      REQUIRE(std::bit_cast<std::uint32_t>(values(0, j)) == std::bit_cast<std::uint32_t>(expected(0, j)));
    }
    changed += static_cast<int>(delta.changes[static_cast<std::size_t>(n)].changes.size());
  }
  CHECK(changed > made.data.size());
  const Evaluator evaluator(made.network, made.data);
  Evaluator::Scratch scratch(evaluator);
  TrialSamples quick;
  TrialSamples full;
  evaluator.evaluate(perturbation, scratch, quick);
  evaluator.evaluate_full(perturbation, scratch, full);
  CHECK(quick.drop == full.drop);
}

TEST_CASE("k weights: one choice for all images is worse than random ones, and grows with k") {
  Stream stream(8, {});
  const auto made = tiny(stream, {.sizes = {8, 10, 6, 3}, .images = 60});
  const auto loss = [&](const SparseDelta& delta) {
    Workspace workspace(made.network);
    const Matrix values = logits(made.network, workspace.apply(delta), made.data.images);
    double sum = 0;
    for (Index n = 0; n < values.rows(); ++n) {
      const auto row = values.row(n).cast<double>().eval();
      sum += std::log((row.array() - row.maxCoeff()).exp().sum()) + row.maxCoeff() -
             row(made.data.labels[static_cast<std::size_t>(n)]);
    }
    return sum;
  };
  const auto all = all_changes(made.network, {0, 1, 2}, 0.5);
  double last = loss({});
  for (const int k : {1, 3, 10}) {
    const auto delta =
        std::get<SparseDelta>(attacked(made, 0.5, {0, 1, 2}, {{"weights", std::to_string(k)}}).delta);
    REQUIRE(delta.changes.size() <= static_cast<std::size_t>(k));
    const double reached = loss(delta);
    CHECK(reached > last);
    last = reached;
    for (int t = 0; t < 50; ++t) {
      std::map<std::pair<std::uint32_t, std::uint32_t>, Change> drawn;
      while (std::ssize(drawn) < k) {
        const auto& change = all[stream.below(all.size())];
        drawn.emplace(std::pair(change.layer, change.index), change);
      }
      SparseDelta random;
      for (const auto& [place, change] : drawn) random.changes.push_back(change);
      CHECK(loss(random) <= reached);
    }
  }
}
