#include <cmath>
#include <functional>

#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <support/statistics.hpp>

#include <temblor/attacks/attack.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// 14 + 6 weights: layers of different size, so that drawing the layer first is a visible mistake.
const Network& network() {
  static const Network instance = random_network("7-2-3", 3, false);
  return instance;
}

std::unique_ptr<Attack> attack(const std::string& name, double severity, const Format& format,
                               const std::map<std::string, std::string>& given,
                               const LayerSet& layers = {0, 1}) {
  static std::map<std::string, StoredNetwork> stored;
  static const Dataset data = random_dataset(network(), 2, 1);
  const auto& entry = find_attack(name);
  const auto found = stored.try_emplace(format.name, store(network(), format)).first;
  return make_attack(entry, {found->second.network, data, format, layers, severity,
                             Params(name, entry.params, given), &found->second});
}

/// Number of a stored bit among all bits of both layers.
std::size_t position(std::uint32_t layer, std::uint32_t index, std::uint32_t bit, int bits) {
  return ((layer == 0 ? 0U : 14U) + index) * static_cast<std::size_t>(bits) + bit;
}

}  // namespace

TEST_CASE("a single flip hits every stored bit equally often; two near misses are rejected") {
  const auto seed = test_seed();
  const auto& int8 = find_format("int8");
  constexpr std::uint32_t trials = 40000;
  constexpr std::size_t bits = 20 * 8;
  std::vector<std::int64_t> counts(bits);
  const auto flip = attack("bit-flip", 1, int8, {{"mode", "count"}});
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    const auto faults = flip->perturb(Stream(seed, {0, trial, 0})).faults;
    REQUIRE(faults.size() == 1);
    ++counts[position(faults[0].layer, faults[0].index, faults[0].bit, 8)];
  }
  CHECK(uniform_p(counts) > five_sigma);

  std::vector<std::int64_t> layer_first(bits), low_bits(bits);
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    Stream stream(seed, {1, trial, 0});
    const auto layer = static_cast<std::uint32_t>(stream.below(2));
    const auto index = static_cast<std::uint32_t>(stream.below(layer == 0 ? 14 : 6));
    ++layer_first[position(layer, index, static_cast<std::uint32_t>(stream.below(8)), 8)];
    // Low bits 5 % of the time more often than their share.
    const auto bit = stream.uniform() < 0.05 ? 0 : stream.below(8);
    ++low_bits[position(0, 0, 0, 8) + stream.below(20) * 8 + bit];
  }
  CHECK(uniform_p(layer_first) < five_sigma);
  CHECK(uniform_p(low_bits) < five_sigma);
}

TEST_CASE("two flips are two different bits, every pair equally often") {
  const auto seed = test_seed();
  const auto& int8 = find_format("int8");
  std::vector<std::int64_t> together(20 * 19 / 2);
  const auto flip = attack("bit-flip", 2, int8, {{"mode", "count"}, {"bit", "7"}});
  for (std::uint32_t trial = 0; trial < 20000; ++trial) {
    const auto faults = flip->perturb(Stream(seed, {0, trial, 0})).faults;
    REQUIRE(faults.size() == 2);
    const auto a = position(faults[0].layer, faults[0].index, 0, 1);
    const auto b = position(faults[1].layer, faults[1].index, 0, 1);
    REQUIRE(a < b);
    REQUIRE(faults[0].bit == 7);
    ++together[b * (b - 1) / 2 + a];
  }
  CHECK(uniform_p(together) > five_sigma);
}

TEST_CASE("a bit error rate inverts Binomial(bits, p) bits; a rate 5 % off is rejected") {
  const auto seed = test_seed();
  const auto& fp32 = find_format("fp32");
  constexpr double p = 0.01;
  constexpr std::int64_t bits = 20 * 32;
  constexpr std::int64_t trials = 30000;
  const auto flips = attack("bit-flip", p, fp32, {});
  std::vector<std::int64_t> by_bit(32), by_count(20);
  std::int64_t total = 0;
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    const auto faults = flips->perturb(Stream(seed, {0, trial, 0})).faults;
    total += static_cast<std::int64_t>(faults.size());
    ++by_count[std::min<std::size_t>(faults.size(), by_count.size() - 1)];
    for (const auto& fault : faults) ++by_bit[fault.bit];
  }
  CHECK(std::abs(binomial_z(total, bits * trials, p)) < 5);
  CHECK(std::abs(binomial_z(total, bits * trials, 1.05 * p)) > 5);
  CHECK(std::abs(binomial_z(total, bits * trials, 0.95 * p)) > 5);
  CHECK(uniform_p(by_bit) > five_sigma);

  // The whole distribution, not only its mean: a Poisson-like spread is right, a fixed number of flips is
  // not.
  std::vector<double> expected;
  double mass = std::pow(1 - p, bits), left = 1;
  for (int k = 0; k + 1 < static_cast<int>(by_count.size()); ++k) {
    expected.push_back(mass * trials);
    left -= mass;
    mass *= p / (1 - p) * static_cast<double>(bits - k) / (k + 1);
  }
  expected.push_back(left * trials);
  CHECK(chi_square_p(std::span(by_count).subspan(0, 16), std::span(expected).subspan(0, 16)) > five_sigma);
  std::vector<std::int64_t> fixed(16);
  fixed[6] = trials;
  CHECK(chi_square_p(fixed, std::span(expected).subspan(0, 16)) < five_sigma);
}

TEST_CASE("faults stay in the field, the bits and the layers asked for") {
  const auto seed = test_seed();
  const auto& bf16 = find_format("bf16");
  const auto in_field = attack("bit-flip", 0.5, bf16, {{"field", "exponent"}}, {1});
  const auto in_bits = attack("bit-flip", 0.5, bf16, {{"bit", "15+0"}});
  std::vector<std::int64_t> seen(16);
  for (std::uint32_t trial = 0; trial < 200; ++trial) {
    for (const auto& fault : in_field->perturb(Stream(seed, {0, trial, 0})).faults) {
      REQUIRE(fault.layer == 1);
      REQUIRE(field_of(bf16, static_cast<int>(fault.bit)) == "exponent");
      ++seen[fault.bit];
    }
    for (const auto& fault : in_bits->perturb(Stream(seed, {1, trial, 0})).faults) {
      REQUIRE((fault.bit == 0 || fault.bit == 15));
    }
  }
  CHECK(uniform_p(std::span(seen).subspan(7, 8)) > five_sigma);
}

TEST_CASE("quantization noise is uniform on half a step; a triangular law and a shorter range are rejected") {
  const auto seed = test_seed();
  const auto& fp32 = find_format("fp32");
  const auto noise = attack("quantization-noise", 4, fp32, {});
  const auto set = noise->threat();
  constexpr std::size_t bins = 20;
  const auto bin = [](double part) {
    return std::min(bins - 1, static_cast<std::size_t>((part + 1) / 2 * static_cast<double>(bins)));
  };
  std::vector<std::int64_t> counts(bins), triangular(bins), shorter(bins);
  for (std::uint32_t trial = 0; trial < 2000; ++trial) {
    const auto perturbation = noise->perturb(Stream(seed, {0, trial, 0}));
    const auto& delta = std::get<DenseDelta>(perturbation.delta);
    for (int layer = 0; layer < 2; ++layer) {
      const auto m = static_cast<std::size_t>(layer);
      const MatrixD change =
          delta.layers[m]->weight.cast<double>() - network().weights(layer).weight.cast<double>();
      for (Index i = 0; i < change.size(); ++i) ++counts[bin(change.data()[i] / set.radius[m]->uniform)];
    }
    Stream stream(seed, {1, trial, 0});
    for (int i = 0; i < 20; ++i) {
      ++triangular[bin(stream.uniform() + stream.uniform() - 1)];
      ++shorter[bin(0.98 * (2 * stream.uniform() - 1))];
    }
  }
  CHECK(uniform_p(counts) > five_sigma);
  CHECK(uniform_p(triangular) < five_sigma);
  CHECK(uniform_p(shorter) < five_sigma);
}

TEST_CASE("gaussian directions: every weight alike, both signs, no favourite for the largest") {
  const auto seed = test_seed();
  const auto& fp32 = find_format("fp32");
  constexpr double eps = 0.01;
  const auto gaussian = attack("gaussian", eps, fp32, {}, {0});
  std::vector<std::int64_t> largest(14), signs(2), middle(2);
  double linf = 0;
  for (std::uint32_t trial = 0; trial < 20000; ++trial) {
    const auto perturbation = gaussian->perturb(Stream(seed, {0, trial, 0}));
    const auto& delta = std::get<DenseDelta>(perturbation.delta);
    const MatrixD change =
        delta.layers[0]->weight.cast<double>() - network().weights(0).weight.cast<double>();
    Index row = 0, col = 0;
    const double most = change.cwiseAbs().maxCoeff(&row, &col);
    REQUIRE(most > eps * (1 - 1e-4));  // the radius is reached up to the rounding of one float
    linf = std::max(linf, most);
    ++largest[static_cast<std::size_t>(row * 7 + col)];
    ++signs[change(0, 0) > 0];
    ++middle[std::abs(change(0, 0)) < eps / 2];
  }
  CHECK(linf <= eps);
  CHECK(uniform_p(largest) > five_sigma);
  CHECK(uniform_p(signs) > five_sigma);
  CHECK(uniform_p(middle) < five_sigma);  // uniform noise would be below half the radius half of the time
}
