#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <support/bit_search.hpp>
#include <support/networks.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

using Given = SearchBench::Given;

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

}  // namespace

TEST_CASE("bit search: with all bits as candidates the first flip is the best of all single flips") {
  for (const auto* format : {"int8", "int8-affine-channel", "int4", "fp8-e4m3", "fp16", "fp32", "posit8-0"}) {
    for (const auto* arch : {"4-3-2", "3-4-3-3"}) {
      CAPTURE(format, arch);
      const SearchBench bench(random_network(arch, 5, true), 6, format);
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
      const SearchBench bench(random_network("60-20-4", 9, true), 30, format);
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
      const SearchBench bench(random_network("10-8-6-4", 2, true), 300, format);
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
      const auto end = bench.broken(perturbation);
      for (int m = 0; m < network.layers(); ++m) CHECK(same_bits(end.weights(m), network.weights(m)));
    }
  }
}

TEST_CASE("bit search: more flips go on where fewer ended, in every point of a campaign") {
  const SearchBench bench(random_network("10-8-6-4", 2, true), 200, "int8");
  const auto log_of = [&](double flips, StreamId id) {
    return bench.attack(flips, {{"batch", "50"}})->search(Stream(5, id));
  };
  const auto all = log_of(12, {3, 1, 0});
  REQUIRE(all.steps.size() == 12);
  CHECK(all.stop == "flips");
  for (std::uint32_t flips = 0; flips < 12; ++flips) {
    const auto some = log_of(flips, {flips, 1, 0});
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

TEST_CASE("bit search: values and logits stay finite unless asked for") {
  const SearchBench bench(random_network("10-8-6-4", 2, true), 40, "fp32");
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
  const SearchBench bench(random_network("10-8-4", 2, true), 40, "int8");
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
  refused(1, {{"objective", "each"}, {"batch", "64"}}, "every image has flips of its own");
  refused(1, {{"objective", "each"}, {"nonfinite", "true"}}, "every image has flips of its own");
  refused(1, {{"objective", "each"}, {"target", "1"}}, "objective=class");
  refused((80 + 32) * 8 + 1, {}, "the chosen layers hold 896 bits");
}
