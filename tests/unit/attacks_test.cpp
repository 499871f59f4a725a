#include <bit>
#include <cmath>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/base/error.hpp>
#include <temblor/perturb/project.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

struct Bench {
  Network network = random_network("4-3-2", 5, true);
  Dataset data = random_dataset(network, 2, 1);

  std::unique_ptr<Attack> attack(const StoredNetwork& stored, const std::string& name, double severity,
                                 const std::map<std::string, std::string>& given,
                                 const LayerSet& layers = {0, 1}) const {
    const auto& entry = find_attack(name);
    return make_attack(entry, {stored.network, data, *stored.format, layers, severity,
                               Params("attack '" + name + "'", entry.params, given), &stored});
  }
};

std::vector<Change> changes_of(const Perturbation& perturbation) {
  return std::get<SparseDelta>(perturbation.delta).changes;
}

double change_of(const StoredNetwork& stored, const Perturbation& perturbation, int layer, Index i) {
  const auto& delta = std::get<DenseDelta>(perturbation.delta);
  return static_cast<double>(delta.layers.at(static_cast<std::size_t>(layer))->weight.data()[i]) -
         static_cast<double>(stored.network.weights(layer).weight.data()[i]);
}

}  // namespace

TEST_CASE("bit-flip: all bits of every weight, several flips of one weight combined") {
  const Bench bench;
  for (const auto& format : format_table()) {
    CAPTURE(format.name);
    const auto stored = store(bench.network, format);
    const auto result = bench.attack(stored, "bit-flip", 1, {})->perturb(Stream(1, {}));
    const auto& changes = std::get<SparseDelta>(result.delta).changes;
    REQUIRE(changes.size() == 18);
    REQUIRE(result.faults.size() == 18 * static_cast<std::size_t>(format.bits));
    const std::uint32_t all = format.bits == 32 ? ~0U : (1U << static_cast<unsigned>(format.bits)) - 1;
    for (const auto& change : changes) {
      const auto& encoded = stored.codes[change.layer];
      const float expected = encoded.decode(change.index, encoded.codes[change.index] ^ all);
      REQUIRE(std::bit_cast<std::uint32_t>(expected) == std::bit_cast<std::uint32_t>(change.after));
    }
  }
}

TEST_CASE("bit-flip: the sign bit of fp32 negates, the lowest bit moves by one unit in the last place") {
  const Bench bench;
  const auto stored = store(bench.network, find_format("fp32"));
  const auto negated = bench.attack(stored, "bit-flip", 12, {{"mode", "count"}, {"field", "sign"}}, {0});
  for (const auto& change : changes_of(negated->perturb(Stream(1, {})))) {
    CHECK(change.after == -bench.network.weights(0).weight.data()[change.index]);
  }
  const auto nudged = bench.attack(stored, "bit-flip", 12, {{"mode", "count"}, {"bit", "0"}}, {0});
  for (const auto& change : changes_of(nudged->perturb(Stream(1, {})))) {
    const float weight = bench.network.weights(0).weight.data()[change.index];
    CHECK(
        ((change.after == std::nextafter(weight, 9e9F)) || (change.after == std::nextafter(weight, -9e9F))));
  }
}

TEST_CASE("bit-flip: codes made again equal the stored ones, and a network of another format is refused") {
  const Bench bench;
  const auto& entry = find_attack("bit-flip");
  const Params params("attack 'bit-flip'", entry.params, {});
  for (const auto* name : {"fp32", "fp16", "bf16", "int8", "int8-channel"}) {
    CAPTURE(name);
    const auto& format = find_format(name);
    const auto stored = store(bench.network, format);
    const auto kept = make_attack(entry, {stored.network, bench.data, format, {0, 1}, 0.1, params, &stored});
    const auto again = make_attack(entry, {stored.network, bench.data, format, {0, 1}, 0.1, params});
    const auto a = kept->perturb(Stream(1, {}));
    const auto b = again->perturb(Stream(1, {}));
    REQUIRE(a.faults.size() == b.faults.size());
    for (std::size_t i = 0; i < a.faults.size(); ++i) CHECK(a.faults[i].after == b.faults[i].after);
    if (format.name != "fp32") {
      CHECK_THROWS_AS(make_attack(entry, {bench.network, bench.data, format, {0, 1}, 0.1, params}), Error);
    }
  }
}

TEST_CASE("bit-flip: what cannot be drawn is refused with its cure") {
  const Bench bench;
  const auto fp32 = store(bench.network, find_format("fp32"));
  const auto int8 = store(bench.network, find_format("int8"));
  const auto refused = [&](const StoredNetwork& stored, double severity,
                           std::map<std::string, std::string> given) {
    try {
      bench.attack(stored, "bit-flip", severity, given);
    } catch (const Error& error) {
      CHECK(error.code() == Exit::usage);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK_THAT(refused(int8, 0.1, {{"field", "exponent"}}),
             Catch::Contains("its fields are all, sign, magnitude"));
  CHECK_THAT(refused(int8, 0.1, {{"bit", "8"}}), Catch::Contains("format int8"));
  CHECK_THAT(refused(fp32, 0.1, {{"bit", "0,3"}}), Catch::Contains("0,3"));
  CHECK_THAT(refused(fp32, 0.1, {{"bit", "0"}, {"field", "sign"}}), Catch::Contains("none of these bits"));
  CHECK_THAT(refused(fp32, 577, {{"mode", "count"}}), Catch::Contains("hold 576 bits"));
  CHECK(refused(fp32, 576, {{"mode", "count"}}) == "accepted");
}

TEST_CASE("bit-flip: field and bits that mean the same are the same threat") {
  const Bench bench;
  const auto stored = store(bench.network, find_format("int8"));
  const auto key = [&](const std::map<std::string, std::string>& given) {
    return bench.attack(stored, "bit-flip", 0.5, given)->threat().key;
  };
  CHECK(key({{"field", "sign"}}) == key({{"bit", "7"}}));
  CHECK(key({}) == key({{"bit", "7+6+5+4+3+2+1+0"}}));
  CHECK(key({}) != key({{"bit", "7"}}));
  CHECK(bench.attack(stored, "bit-flip", 1, {})->threat().key !=
        bench.attack(stored, "bit-flip", 1, {{"mode", "count"}})->threat().key);
}

TEST_CASE("quantization-noise round: the grid's values, and a box that every weight touches") {
  const Bench bench;
  const auto stored = store(bench.network, find_format("fp32"));
  for (const auto* granularity : {"tensor", "channel"}) {
    for (const auto* grid : {"symmetric", "affine"}) {
      const auto attack = bench.attack(stored, "quantization-noise", 3,
                                       {{"mode", "round"}, {"grid", grid}, {"granularity", granularity}});
      CHECK(attack->deterministic());
      const auto result = attack->perturb(Stream(1, {}));
      const auto set = attack->threat();
      for (int layer = 0; layer < 2; ++layer) {
        const auto& radius = set.radius[static_cast<std::size_t>(layer)]->weight;
        for (Index i = 0; i < radius.size(); ++i) {
          CHECK(radius.data()[i] == Approx(std::abs(change_of(stored, result, layer, i))).epsilon(1e-12));
        }
      }
    }
  }
}

TEST_CASE("quantization-noise: rounding to 8 bits is storing in int8") {
  const Bench bench;
  const auto fp32 = store(bench.network, find_format("fp32"));
  const std::tuple<const char*, const char*, const char*> pairs[] = {
      {"int8", "symmetric", "tensor"},
      {"int8-channel", "symmetric", "channel"},
      {"int8-affine", "affine", "tensor"},
      {"int8-affine-channel", "affine", "channel"},
  };
  for (const auto& [format, grid, granularity] : pairs) {
    CAPTURE(format);
    const auto stored = store(bench.network, find_format(format));
    const auto attack = bench.attack(fp32, "quantization-noise", 8,
                                     {{"mode", "round"}, {"grid", grid}, {"granularity", granularity}});
    const auto perturbation = attack->perturb(Stream(1, {}));
    const auto& delta = std::get<DenseDelta>(perturbation.delta);
    for (int layer = 0; layer < 2; ++layer) {
      CHECK(same_bits(*delta.layers[static_cast<std::size_t>(layer)], stored.network.weights(layer)));
    }
  }
}

TEST_CASE("quantization-noise: noise of fine steps, where a float's rounding matters, stays in its box") {
  const Bench bench;
  const auto stored = store(bench.network, find_format("fp32"));
  const auto attack = bench.attack(stored, "quantization-noise", 16, {});
  const auto set = attack->threat();
  int left_by_plain_rounding = 0;
  for (std::uint32_t trial = 0; trial < 2000; ++trial) {
    const auto result = attack->perturb(Stream(1, {0, trial, 0}));
    Stream draws(1, {0, trial, 0});
    for (int layer = 0; layer < 2; ++layer) {
      const auto m = static_cast<std::size_t>(layer);
      const double radius = set.radius[m]->uniform;
      const auto& before = stored.network.weights(layer).weight;
      const auto& after = std::get<DenseDelta>(result.delta).layers[m]->weight;
      for (Index i = 0; i < before.size(); ++i) {
        REQUIRE(within(before.data()[i], after.data()[i], radius));
        const double plain = static_cast<double>(before.data()[i]) + radius * (2 * draws.uniform() - 1);
        left_by_plain_rounding += !within(before.data()[i], static_cast<float>(plain), radius);
      }
    }
  }
  CHECK(left_by_plain_rounding > 0);
}

TEST_CASE("gaussian reaches its radius in every layer and ball") {
  const Bench bench;
  const auto stored = store(bench.network, find_format("fp32"));
  for (std::uint32_t trial = 0; trial < 50; ++trial) {
    for (const auto* ball : {"linf", "relative", "l2"}) {
      const double size = trial % 2 == 0 ? 0.01 : 100;
      CAPTURE(ball, trial);
      const auto result =
          bench.attack(stored, "gaussian", size, {{"ball", ball}})->perturb(Stream(1, {0, trial, 0}));
      for (int layer = 0; layer < 2; ++layer) {
        auto layers = std::get<DenseDelta>(result.delta).layers;
        layers[static_cast<std::size_t>(1 - layer)].reset();
        const auto norms = measure(stored.network, layers);
        const double reached = std::string(ball) == "linf" ? norms.linf
                               : ball[0] == 'l'            ? norms.l2
                                                           : norms.relative;
        CHECK(reached <= size);
        CHECK(reached > size * (1 - 1e-4));
      }
    }
  }
}

TEST_CASE("gaussian moves biases on request only") {
  const Bench bench;
  const auto stored = store(bench.network, find_format("fp32"));
  const auto moved = [&](const std::map<std::string, std::string>& given) {
    const auto result = bench.attack(stored, "gaussian", 0.01, given)->perturb(Stream(1, {}));
    return std::get<DenseDelta>(result.delta).layers[0]->bias != stored.network.weights(0).bias;
  };
  CHECK_FALSE(moved({}));
  CHECK(moved({{"biases", "true"}}));
  CHECK(moved({{"biases", "true"}, {"ball", "relative"}}));
  CHECK_THROWS_AS(moved({{"biases", "true"}, {"ball", "l2"}}), Error);
}
