#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <support/statistics.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/perturb/activations.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// activation-flip on a network 5-4-3 in int8: 7 units of 8 bits an image, 12 with the image held too.
struct Bench {
  Network network = random_network("5-4-3", 3, false);
  Dataset data;
  StoredNetwork held;
  std::unique_ptr<Attack> attack;

  Bench(double severity, const std::map<std::string, std::string>& given,
        std::vector<std::int64_t> images = {})
      : data(random_dataset(network, 6, 1)), held(store(network, find_format("int8"))) {
    if (!images.empty()) {
      Dataset chosen = data;
      chosen.images = data.images(images, Eigen::all);
      chosen.labels.resize(images.size());
      chosen.index = images;
      data = chosen;
    }
    const auto& entry = find_attack("activation-flip");
    const Params params("attack 'activation-flip'", entry.params, given);
    held = entry.base(held, data, {0, 1}, params);
    attack = make_attack(entry, {held.network, data, *held.format, {0, 1}, severity, params, &held});
  }
  std::vector<ActivationBit> bits(std::uint64_t seed, std::uint32_t trial) const {
    return std::get<ActivationFaults>(attack->perturb(Stream(seed, {0, trial, 0})).delta).bits;
  }
};

/// Number of a bit among those of one image, sites 0 (4 units) and 1 (3 units).
std::size_t place(const ActivationBit& bit) {
  return ((bit.site == 0 ? 0U : 4U) + bit.unit) * 8U + bit.bit;
}

}  // namespace

TEST_CASE("one activation fault an image: every bit of every image equally often, images independent") {
  const auto seed = test_seed();
  const Bench bench(1, {{"mode", "count"}});
  constexpr std::uint32_t trials = 8000;
  std::vector<std::int64_t> all(6 * 56), differences(56);
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    const auto bits = bench.bits(seed, trial);
    REQUIRE(bits.size() == 6);
    for (const auto& bit : bits) ++all[bit.sample * 56 + place(bit)];
    ++differences[(place(bits[0]) + 56 - place(bits[1])) % 56];
  }
  CHECK(uniform_p(all) > five_sigma);
  CHECK(uniform_p(differences) > five_sigma);  // the same draw for both images would always differ by 0
}

TEST_CASE("activation faults at a rate: Binomial over images x units x bits, another rate is rejected") {
  const auto seed = test_seed();
  constexpr double p = 0.003;
  const Bench bench(p, {{"image", "true"}});
  constexpr std::int64_t population = 6 * 12 * 8;
  constexpr std::int64_t trials = 20000;
  std::int64_t total = 0;
  std::vector<std::int64_t> by_image(6), by_unit(12);
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    for (const auto& bit : bench.bits(seed, trial)) {
      ++total;
      ++by_image[bit.sample];
      ++by_unit[(bit.site == 0 ? 0U : bit.site == 1 ? 5U : 9U) + bit.unit];
    }
  }
  CHECK(std::abs(binomial_z(total, population * trials, p)) < 5);
  CHECK(std::abs(binomial_z(total, population * trials, 1.05 * p)) > 5);
  CHECK(uniform_p(by_image) > five_sigma);
  CHECK(uniform_p(by_unit) > five_sigma);
}

TEST_CASE("an image's activation faults are its own, whatever images are chosen beside it") {
  const auto seed = test_seed();
  const Bench all(0.05, {});
  const Bench some(0.05, {}, {1, 4});
  std::int64_t compared = 0;
  for (std::uint32_t trial = 0; trial < 50; ++trial) {
    std::vector<ActivationBit> expected;
    for (auto bit : all.bits(seed, trial)) {
      if (bit.sample != 1 && bit.sample != 4) continue;
      bit.sample = bit.sample == 1 ? 0 : 1;
      expected.push_back(bit);
    }
    compared += static_cast<std::int64_t>(expected.size());
    REQUIRE(some.bits(seed, trial) == expected);
  }
  CHECK(compared > 0);
}

TEST_CASE("nested activation faults: those of a lower rate are among those of a higher one") {
  const auto seed = test_seed();
  const Bench low(0.02, {{"mode", "nested"}});
  const Bench high(0.1, {{"mode", "nested"}});
  std::int64_t total = 0;
  for (std::uint32_t trial = 0; trial < 200; ++trial) {
    const auto few = low.bits(seed, trial);
    const auto many = high.bits(seed, trial);
    REQUIRE(std::includes(many.begin(), many.end(), few.begin(), few.end()));
    total += static_cast<std::int64_t>(few.size());
  }
  CHECK(std::abs(binomial_z(total, 200 * 6 * 56, 0.02)) < 5);
}
