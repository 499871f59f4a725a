#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/attacks/flip_search.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

using Given = std::map<std::string, std::string>;

struct Bench {
  Network network;
  Dataset data;
  StoredNetwork stored;

  Bench(const Network& made, Index images, const std::string& format)
      : network(made), data(random_dataset(made, images, 3)), stored(store(made, find_format(format))) {}

  /// Without a limit on the loss unless asked for.
  std::unique_ptr<FlipSearch> attack(double flips, Given given, LayerSet layers = {}) const {
    if (!given.contains("objective") || given.at("objective") == "untargeted") given.emplace("cap", "0");
    if (layers.empty()) {
      layers.resize(static_cast<std::size_t>(network.layers()));
      std::iota(layers.begin(), layers.end(), 0);
    }
    const auto& entry = find_attack("progressive-bit-search");
    auto made = make_attack(entry, {stored.network, data, *stored.format, layers, flips,
                                    Params("attack 'progressive-bit-search'", entry.params, given), &stored});
    return std::unique_ptr<FlipSearch>(&dynamic_cast<FlipSearch&>(*made.release()));
  }
  FlipLog log(double flips, const Given& given, const LayerSet& layers = {}) const {
    return attack(flips, given, layers)->search(Stream(5, {}));
  }
};

struct MeanLoss {
  double mean = 0;
  std::int64_t correct = 0;
};

/// Mean cross-entropy over all images in double, from the logits of an ordinary pass.
MeanLoss loss_of(const Network& network, const Dataset& data) {
  const Matrix values = logits(network, network.view(), data.images);
  MeanLoss loss;
  for (Index n = 0; n < values.rows(); ++n) {
    const auto label = data.labels[static_cast<std::size_t>(n)];
    const double most = static_cast<double>(values.row(n).maxCoeff());
    double sum = 0;
    Index top = 0;
    for (Index j = 0; j < values.cols(); ++j) {
      sum += std::exp(static_cast<double>(values(n, j)) - most);
      if (values(n, j) > values(n, top)) top = j;
    }
    loss.mean += std::log(sum) + most - static_cast<double>(values(n, label));
    loss.correct += top == label;
  }
  loss.mean /= static_cast<double>(values.rows());
  return loss;
}

Network with_word(const StoredNetwork& stored, const Network& network, int layer, std::size_t index,
                  std::uint32_t word) {
  Weights weights = network.weights(layer);
  weights.weight.data()[index] = stored.codes[static_cast<std::size_t>(layer)].decode(index, word);
  return network.with(layer, std::move(weights));
}

/// Gradient of the mean cross-entropy by the weights of a layer.
Matrix slope(const Network& network, const Dataset& data, int layer) {
  Activations outputs;
  forward(network, network.view(), data.images, outputs);
  Matrix share = outputs.outputs.back();
  for (Index n = 0; n < share.rows(); ++n) {
    share.row(n) = (share.row(n).array() - share.row(n).maxCoeff()).exp();
    share.row(n) /= share.row(n).sum();
    share(n, data.labels[static_cast<std::size_t>(n)]) -= 1;
  }
  share /= static_cast<float>(share.rows());
  const Weights& own = network.weights(layer);
  Weights gradient{Matrix::Zero(own.weight.rows(), own.weight.cols()), Vector::Zero(own.bias.size())};
  std::vector<Weights*> wanted(static_cast<std::size_t>(network.layers()), nullptr);
  wanted[static_cast<std::size_t>(layer)] = &gradient;
  backward(network, network.view(), data.images, outputs, share, wanted);
  return gradient.weight;
}

/// Four classes of images around prototypes, and a network trained on them.
struct Trained {
  Dataset data;
  Network network;

  Trained() : network(multilayer_perceptron("8-12-4", "relu", true, {}, {{8}})) {
    data = random_dataset(network, 160, 1);
    Stream draws(3, {});
    for (Index n = 0; n < data.size(); ++n) {
      const auto label = n % 4;
      data.labels[static_cast<std::size_t>(n)] = static_cast<std::int32_t>(label);
      for (Index k = 0; k < 8; ++k)
        data.images(n, k) = static_cast<float>(0.3 * draws.uniform() + (k / 2 == label ? 0.6 : 0.0));
    }
    TrainingPlan plan;
    plan.epochs = 60;
    plan.batch = 32;
    plan.rate = 0.02;
    plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
    Trainer trainer(initialise(network, 2), data, plan);
    while (!trainer.finished()) trainer.step();
    network = trainer.network();
  }
};

const Trained& trained() {
  static const Trained instance;
  return instance;
}

Bench trained_bench(const std::string& format) {
  Bench bench(trained().network, 1, format);
  bench.data = trained().data;
  return bench;
}

std::int64_t predicted_as(const Network& network, const Dataset& data, std::int32_t label, std::int32_t as) {
  const Matrix values = logits(network, network.view(), data.images);
  std::int64_t count = 0;
  for (Index n = 0; n < values.rows(); ++n) {
    Index top = 0;
    values.row(n).maxCoeff(&top);
    count += data.labels[static_cast<std::size_t>(n)] == label && top == as;
  }
  return count;
}

Network broken(const Bench& bench, const Perturbation& perturbation) {
  Network network = bench.stored.network;
  const auto weights = perturbed_weights(network, std::get<SparseDelta>(perturbation.delta));
  for (std::size_t m = 0; m < weights.size(); ++m) {
    if (weights[m]) network = network.with(static_cast<int>(m), *weights[m]);
  }
  return network;
}

}  // namespace

TEST_CASE("bit search: with all bits as candidates the first flip is the best of all single flips") {
  for (const auto* format : {"int8", "int8-affine-channel", "int4", "fp8-e4m3", "fp16", "fp32", "posit8-0"}) {
    for (const auto* arch : {"4-3-2", "3-4-3-3"}) {
      CAPTURE(format, arch);
      const Bench bench(random_network(arch, 5, true), 6, format);
      double best = -1;
      std::set<std::array<std::uint32_t, 3>> winners;
      for (int layer = 0; layer < bench.network.layers(); ++layer) {
        const auto& codes = bench.stored.codes[static_cast<std::size_t>(layer)];
        for (std::size_t i = 0; i < codes.codes.size(); ++i) {
          for (int bit = 0; bit < codes.format->bits; ++bit) {
            const std::uint32_t word = codes.codes[i] ^ (1U << bit);
            if (!std::isfinite(codes.decode(i, word))) continue;
            const auto flipped = with_word(bench.stored, bench.stored.network, layer, i, word);
            const double loss = loss_of(flipped, bench.data).mean;
            if (!std::isfinite(loss) || loss < best * (1 - 1e-6)) continue;
            if (loss > best * (1 + 1e-6)) winners.clear();
            best = std::max(best, loss);
            winners.insert({static_cast<std::uint32_t>(layer), static_cast<std::uint32_t>(i),
                            static_cast<std::uint32_t>(bit)});
          }
        }
      }
      const auto log = bench.log(1, {{"candidates", "1000000"}});
      REQUIRE(log.steps.size() == 1);
      const auto& flip = log.steps[0].flip;
      CHECK(winners.contains({flip.layer, flip.index, flip.bit}));
      CHECK(log.steps[0].effect.loss == Approx(best).epsilon(1e-5));
      CHECK(log.clean.loss == Approx(loss_of(bench.stored.network, bench.data).mean).epsilon(1e-5));
    }
  }
}

TEST_CASE("bit search: with one candidate the flip is the one of largest first-order gain") {
  for (const auto* format : {"int8", "int8-channel", "fp16", "fp8-e5m2", "posit8-0", "q3.4"}) {
    for (const int layer : {0, 1}) {
      CAPTURE(format, layer);
      const Bench bench(random_network("60-20-4", 9, true), 30, format);
      const Matrix gradient = slope(bench.stored.network, bench.data, layer);
      const auto& codes = bench.stored.codes[static_cast<std::size_t>(layer)];
      double best = 0;
      for (std::size_t i = 0; i < codes.codes.size(); ++i) {
        for (int bit = 0; bit < codes.format->bits; ++bit) {
          const double change =
              static_cast<double>(codes.decode(i, codes.codes[i] ^ (1U << bit))) - codes.decode(i);
          if (std::isfinite(change)) best = std::max(best, change * static_cast<double>(gradient.data()[i]));
        }
      }
      const auto log = bench.log(1, {{"candidates", "1"}}, {layer});
      REQUIRE(log.steps.size() == 1);
      const auto& flip = log.steps[0].flip;
      const double change = static_cast<double>(codes.decode(flip.index, flip.after)) -
                            static_cast<double>(codes.decode(flip.index, flip.before));
      // Not where the first raised nothing, and more were tried.
      CHECK(change * static_cast<double>(gradient.data()[flip.index]) == Approx(best).epsilon(1e-3));
    }
  }
}

TEST_CASE("bit search: every entry of the log can be made again, the loss never falls, no bit flips twice") {
  for (const auto* format : {"int8", "int4-affine", "fp16", "fp32", "fp8-e4m3", "q3.4"}) {
    for (const auto* aim : {"untargeted", "class"}) {
      CAPTURE(format, aim);
      const Bench bench(random_network("10-8-6-4", 2, true), 300, format);
      const bool targeted = std::string(aim) == "class";
      Given given{{"objective", aim}, {"batch", "300"}};
      if (targeted) given.insert({{"target", "3"}, {"keep", "0"}});
      const auto attack = bench.attack(25, given);
      const auto perturbation = attack->perturb(Stream(5, {}));
      const auto log = attack->search(Stream(5, {}));
      REQUIRE(log.steps.size() >= (targeted ? 1U : 5U));
      Network network = bench.stored.network;
      std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> words;
      std::set<std::array<std::uint32_t, 3>> seen;
      double last = log.clean.loss;
      for (const auto& step : log.steps) {
        const auto& flip = step.flip;
        const auto place = std::pair(flip.layer, flip.index);
        const auto known = words.find(place);
        CHECK(flip.before ==
              (known == words.end() ? bench.stored.codes[flip.layer].codes[flip.index] : known->second));
        CHECK(flip.after == (flip.before ^ (1U << flip.bit)));
        words[place] = flip.after;
        CHECK(seen.insert({flip.layer, flip.index, flip.bit}).second);
        network = with_word(bench.stored, network, static_cast<int>(flip.layer), flip.index, flip.after);
        CHECK(std::isfinite(network.weights(static_cast<int>(flip.layer)).weight.data()[flip.index]));
        CHECK((targeted ? step.effect.loss < last : step.effect.loss > last));
        last = step.effect.loss;
        if (targeted) {
          std::int64_t hits = 0;
          for (const int label : {0, 1, 2}) hits += predicted_as(network, bench.data, label, 3);
          CHECK(step.effect.hits == hits);
          CHECK(step.effect.correct == predicted_as(network, bench.data, 3, 3));
        } else {
          const MeanLoss loss = loss_of(network, bench.data);
          CHECK(step.effect.loss == Approx(loss.mean).epsilon(1e-5));
          CHECK(step.effect.correct == loss.correct);
          CHECK(step.effect.hits == bench.data.size() - loss.correct);
        }
      }
      REQUIRE(perturbation.faults.size() == log.steps.size());
      for (const auto& fault : perturbation.faults)
        CHECK(seen.contains({fault.layer, fault.index, fault.bit}));
      const auto end = broken(bench, perturbation);
      for (int m = 0; m < network.layers(); ++m) CHECK(same_bits(end.weights(m), network.weights(m)));
    }
  }
}

TEST_CASE("bit search: more flips go on where fewer ended") {
  const Bench bench(random_network("10-8-6-4", 2, true), 200, "int8");
  const auto log_of = [&](double flips, StreamId id) {
    return bench.attack(flips, {{"batch", "50"}})->search(Stream(5, id));
  };
  const auto all = log_of(12, {3, 1, 0});
  REQUIRE(all.steps.size() == 12);
  CHECK(all.stop == "flips");
  for (std::uint32_t flips = 0; flips < 12; ++flips) {
    const auto some = log_of(flips, {3, 1, 0});
    REQUIRE(some.steps.size() == flips);
    for (std::size_t i = 0; i < flips; ++i) {
      CHECK(some.steps[i].flip.index == all.steps[i].flip.index);
      CHECK(some.steps[i].flip.bit == all.steps[i].flip.bit);
      CHECK(some.steps[i].effect.loss == all.steps[i].effect.loss);
    }
  }
  const auto other = log_of(12, {3, 2, 0});  // another trial sees other images
  CHECK(other.clean.loss != all.clean.loss);
}

TEST_CASE("bit search: it stops at an accuracy, at a number of flips, and where nothing raises the loss") {
  const auto bench = trained_bench("int8");
  const auto log = bench.log(60, {{"stop-accuracy", "0.3"}, {"batch", "160"}});
  CHECK(log.stop == "accuracy");
  REQUIRE(log.steps.size() >= 2);
  CHECK(log.images == 160);
  CHECK(log.clean.correct == 160);
  CHECK(log.steps.back().effect.correct <= 48);
  CHECK(log.steps[log.steps.size() - 2].effect.correct > 48);
  CHECK(bench.log(1, {{"stop-accuracy", "0.3"}}).stop == "flips");
  CHECK(bench.log(5, {{"stop-accuracy", "1"}}).steps.empty());

  const Bench small(random_network("2-2", 1, false), 3, "int2");
  const auto stuck = small.log(8, {{"candidates", "100"}});
  CHECK(stuck.stop == "stuck");
  CHECK(stuck.steps.size() < 8);
}

TEST_CASE("bit search: a limit on the loss leaves images alone that are past it, and harms more of them") {
  const auto bench = trained_bench("int8");
  const auto right = [&](const std::string& cap) {
    const auto log = bench.log(6, {{"cap", cap}, {"batch", "160"}});
    if (cap != "0") CHECK(log.steps.back().effect.loss <= parse_real(cap, "cap"));
    return log.steps.back().effect.correct;
  };
  CHECK(right("3") < right("0"));
}

TEST_CASE("bit search: on a trained network it does far more harm than as many random flips") {
  const auto bench = trained_bench("int8");
  const auto adversarial = bench.attack(4, {{"batch", "64"}})->perturb(Stream(1, {}));
  const auto harmed = loss_of(broken(bench, adversarial), bench.data);
  const auto& entry = find_attack("bit-flip");
  const auto random = make_attack(entry, {bench.stored.network,
                                          bench.data,
                                          *bench.stored.format,
                                          {0, 1},
                                          4,
                                          Params("attack 'bit-flip'", entry.params, {{"mode", "count"}}),
                                          &bench.stored});
  for (std::uint32_t trial = 0; trial < 20; ++trial) {
    const auto loss = loss_of(broken(bench, random->perturb(Stream(1, {0, trial, 0}))), bench.data);
    CHECK(harmed.correct < loss.correct);
  }
  CHECK(harmed.correct <= 120);
}

TEST_CASE("bit search: images of one class go to another, and one image alone") {
  for (const auto* format : {"int8", "fp16", "fp8-e5m2"}) {
    CAPTURE(format);
    const auto bench = trained_bench(format);
    const Given given{{"objective", "class"}, {"source", "1"}, {"target", "2"}, {"batch", "160"}};
    const auto attack = bench.attack(60, given);
    const auto moved = attack->search(Stream(1, {}));
    CHECK(moved.stop == "success");
    CHECK(moved.attacked == 40);
    CHECK(moved.images == 120);
    const auto network = broken(bench, attack->perturb(Stream(1, {})));
    CHECK(predicted_as(network, bench.data, 1, 2) == 40);
    std::int64_t kept = 0;
    for (const int label : {0, 2, 3}) kept += predicted_as(network, bench.data, label, label);
    CHECK(kept == moved.steps.back().effect.correct);
    CHECK(kept > 80);

    for (const Index image : {5, 10}) {
      const auto label = bench.data.labels[static_cast<std::size_t>(image)];
      const auto target = (label + 1) % 4;
      const auto search = bench.attack(60, {{"objective", "image"},
                                            {"image", std::to_string(image)},
                                            {"target", std::to_string(target)},
                                            {"margin", "0.5"},
                                            {"batch", "159"}});
      const auto one = search->search(Stream(1, {}));
      CHECK(one.stop == "success");
      CHECK(one.attacked == 1);
      const auto changed = broken(bench, search->perturb(Stream(1, {})));
      const Matrix values = logits(changed, changed.view(), bench.data.images.row(image));
      for (Index j = 0; j < 4; ++j) {
        if (j != target) CHECK(values(0, target) >= values(0, j) + 0.4999F);
      }
    }
  }
}

TEST_CASE("bit search: images that are to be kept are kept better, the more they weigh") {
  const Bench bench(random_network("10-8-6-4", 2, true), 300, "int8");
  const auto kept = [&](const std::string& weight) {
    const auto log = bench.log(30, {{"objective", "class"},
                                    {"labels", "predicted"},
                                    {"source", "0"},
                                    {"target", "3"},
                                    {"keep", weight},
                                    {"stop-success", "0.8"}});
    CHECK(log.clean.correct == log.images);
    return static_cast<double>(log.steps.back().effect.correct) / static_cast<double>(log.images);
  };
  CHECK(kept("10") > kept("0") + 0.1);
}

TEST_CASE("bit search: values and logits stay finite unless asked for") {
  const Bench bench(random_network("10-8-6-4", 2, true), 40, "fp32");
  const auto finite = bench.log(10, {});
  for (const auto& step : finite.steps) {
    CHECK(std::isfinite(step.effect.loss));
    CHECK(std::isfinite(bench.stored.codes[step.flip.layer].decode(step.flip.index, step.flip.after)));
  }
  const auto any = bench.log(10, {{"nonfinite", "true"}, {"stop-accuracy", "0"}});
  CHECK(any.steps.back().effect.loss == std::numeric_limits<double>::infinity());
  CHECK(any.stop == "accuracy");
}

TEST_CASE("bit search: parameters that say nothing together are refused") {
  const Bench bench(random_network("10-8-4", 2, true), 40, "int8");
  const auto refused = [&](double flips, const Given& given, const std::string& word) {
    CHECK_THROWS_WITH(bench.attack(flips, given),
                      Catch::Contains("attack 'progressive-bit-search'") && Catch::Contains(word));
  };
  refused(1, {{"source", "1"}}, "objective=class");
  refused(1, {{"target", "1"}}, "objective=class");
  refused(1, {{"keep", "2"}}, "objective=class");
  refused(1, {{"stop-success", "0.5"}}, "objective=class");
  refused(1, {{"image", "1"}}, "objective=image");
  refused(1, {{"objective", "class"}, {"margin", "1"}}, "objective=image");
  refused(1, {{"objective", "class"}, {"cap", "1"}}, "objective=untargeted");
  refused(1, {{"objective", "class"}, {"nonfinite", "true"}}, "untargeted");
  refused(1, {{"objective", "class"}, {"source", "2"}, {"target", "2"}}, "two different classes");
  refused(1, {{"objective", "class"}, {"target", "4"}}, "there are 4 classes");
  refused(1, {{"objective", "class"}, {"source", "4"}}, "there are 4 classes");
  refused(1, {{"objective", "image"}, {"image", "40"}}, "there are 40 images");
  refused((80 + 32) * 8 + 1, {}, "the chosen layers hold 896 bits");
}
