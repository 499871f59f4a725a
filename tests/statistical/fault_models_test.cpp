#include <cmath>
#include <map>

#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <support/statistics.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/perturb/memory_layout.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// 14 + 6 weights in int8: 160 bits, in 5 rows of two words of 16 bits.
struct Bench {
  Network network = random_network("7-2-3", 3, false);
  Dataset data = random_dataset(network, 2, 1);
  StoredNetwork stored = store(network, find_format("int8"));
  MemorySpec memory{.word = 16, .row = 2};
  MemoryLayout layout{memory, stored.codes};

  std::unique_ptr<Attack> attack(const std::string& name, double severity,
                                 const std::map<std::string, std::string>& given) const {
    const auto& entry = find_attack(name);
    return make_attack(entry, {stored.network,
                               data,
                               *stored.format,
                               {0, 1},
                               severity,
                               Params(name, entry.params, given),
                               &stored,
                               memory});
  }
  std::size_t address(const BitFault& fault) const {
    return layout.address({fault.layer, fault.index, fault.bit});
  }
  bool set(std::uint64_t address) const {
    const auto at = layout.bit_at(address);
    return (stored.codes[at.layer].codes[at.index] >> at.bit & 1U) != 0;
  }
  std::int64_t ones() const {
    std::int64_t count = 0;
    for (std::uint64_t at = 0; at < layout.bits(); ++at) count += set(at) ? 1 : 0;
    return count;
  }
};

const Bench& bench() {
  static const Bench instance;
  return instance;
}

/// Expected counts of the sets of four things that each happen with probability p, by bit pattern.
std::vector<double> patterns(double p, double trials) {
  std::vector<double> expected;
  for (unsigned pattern = 0; pattern < 16; ++pattern) {
    double chance = trials;
    for (unsigned i = 0; i < 4; ++i) chance *= (pattern >> i & 1U) != 0 ? p : 1 - p;
    expected.push_back(chance);
  }
  return expected;
}

}  // namespace

TEST_CASE(
    "nested draws: every set of positions has its probability; hashes are uniform, at two rates together") {
  const auto seed = test_seed();
  constexpr std::uint32_t trials = 40000;
  constexpr double p = 0.3;
  std::vector<std::int64_t> sets(16), hashes(20), marks(16), levels(9);
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    const Stream stream = Stream(seed, {7, trial, 0}).across_points();
    std::size_t set = 0;
    for (const auto& one : choose_nested(stream, 4, p)) set |= std::size_t{1} << one.position;
    ++sets[set];
    // Two positions, each below 0.3, between 0.3 and 0.6, or above.
    std::size_t level[2] = {2, 2};
    for (const auto& one : choose_nested(stream, 2, 0.6)) level[one.position] = one.hash < 0.3 ? 0 : 1;
    ++levels[3 * level[0] + level[1]];
    const auto all = choose_nested(stream, 9, 1);
    REQUIRE(all.size() == 9);
    ++hashes[static_cast<std::size_t>(all[4].hash * 20)];
    ++marks[all[4].mark >> 60U];
  }
  CHECK(chi_square_p(sets, patterns(p, trials)) > five_sigma);
  CHECK(chi_square_p(sets, patterns(1.05 * p, trials)) < five_sigma);  // a rate 5 % off is seen
  std::vector<double> expected;
  for (const double a : {0.3, 0.3, 0.4})
    for (const double b : {0.3, 0.3, 0.4}) expected.push_back(a * b * trials);
  CHECK(chi_square_p(levels, expected) > five_sigma);
  CHECK(uniform_p(hashes) > five_sigma);
  CHECK(uniform_p(marks) > five_sigma);

  // One hash for all positions has the right rates, and is rejected.
  std::vector<std::int64_t> common(16);
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    ++common[Stream(seed, {8, trial, 0}).uniform() < p ? 15 : 0];
  }
  CHECK(chi_square_p(common, patterns(p, trials)) < five_sigma);
}

TEST_CASE("nested error rates invert every bit equally often") {
  const auto seed = test_seed();
  std::vector<std::int64_t> counts(160);
  std::int64_t total = 0;
  const auto flip = bench().attack("bit-flip", 0.02, {{"mode", "nested"}});
  for (std::uint32_t trial = 0; trial < 20000; ++trial) {
    for (const auto& fault : flip->perturb(Stream(seed, {0, trial, 0})).faults) {
      ++counts[bench().address(fault)];
      ++total;
    }
  }
  CHECK(uniform_p(counts) > five_sigma);
  CHECK(std::abs(binomial_z(total, 160 * 20000, 0.02)) < 5);
  CHECK(std::abs(binomial_z(total, 160 * 20000, 0.021)) > 5);
}

TEST_CASE("stuck cells: the rate is that of the cells, flips are those that held the other value") {
  const auto seed = test_seed();
  const std::int64_t ones = bench().ones(), zeros = 160 - ones;
  constexpr std::int64_t trials = 20000;
  const auto flips = [&](const std::string& name, double rate,
                         const std::map<std::string, std::string>& given) {
    std::pair<std::int64_t, std::int64_t> count{0, 0};  // 0 -> 1, 1 -> 0
    const auto attack = bench().attack(name, rate, given);
    for (std::uint32_t trial = 0; trial < trials; ++trial) {
      for (const auto& fault : attack->perturb(Stream(seed, {0, trial, 0})).faults) {
        ++(bench().set(bench().address(fault)) ? count.second : count.first);
      }
    }
    return count;
  };
  for (const std::string mode : {"rate", "nested"}) {
    CAPTURE(mode);
    const auto stuck1 = flips("stuck-at", 0.02, {{"mode", mode}, {"value", "1"}});
    CHECK(stuck1.second == 0);
    CHECK(std::abs(binomial_z(stuck1.first, zeros * trials, 0.02)) < 5);
    const auto stuck0 = flips("stuck-at", 0.02, {{"mode", mode}, {"value", "0"}});
    CHECK(stuck0.first == 0);
    CHECK(std::abs(binomial_z(stuck0.second, ones * trials, 0.02)) < 5);
    const auto random = flips("stuck-at", 0.02, {{"mode", mode}, {"value", "random"}});
    CHECK(std::abs(binomial_z(random.first, zeros * trials, 0.01)) < 5);
    CHECK(std::abs(binomial_z(random.second, ones * trials, 0.01)) < 5);
    CHECK(std::abs(binomial_z(random.first + random.second, 160 * trials, 0.0105)) > 5);
    const auto uneven = flips("asymmetric", 0.03, {{"mode", mode}, {"p01", "0.25"}, {"p10", "0.75"}});
    CHECK(std::abs(binomial_z(uneven.first, zeros * trials, 0.0075)) < 5);
    CHECK(std::abs(binomial_z(uneven.second, ones * trials, 0.0225)) < 5);
    CHECK(std::abs(binomial_z(uneven.second, ones * trials, 0.0235)) > 5);
  }
  // A number of cells: every bit is stuck equally often.
  std::vector<std::int64_t> counts(static_cast<std::size_t>(160));
  for (const auto* value : {"0", "1"}) {
    const auto attack = bench().attack("stuck-at", 2, {{"mode", "count"}, {"value", value}});
    for (std::uint32_t trial = 0; trial < trials; ++trial) {
      for (const auto& fault : attack->perturb(Stream(seed, {0, trial, 0})).faults)
        ++counts[bench().address(fault)];
    }
  }
  CHECK(uniform_p(counts) > five_sigma);
}

TEST_CASE("bursts: every window of neighbouring cells equally often; windows without overhang are rejected") {
  const auto seed = test_seed();
  constexpr std::uint32_t trials = 40000;
  const auto attack = bench().attack("burst", 1, {{"mode", "count"}, {"length", "3"}});
  // Five rows of 32 columns: windows begin at columns -2 to 31.
  std::map<std::pair<std::size_t, std::size_t>, std::int64_t> windows, inside;
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    const auto faults = attack->perturb(Stream(seed, {0, trial, 0})).faults;
    REQUIRE(faults.size() <= 3);
    const std::size_t first = bench().address(faults.front());
    for (std::size_t i = 0; i < faults.size(); ++i) REQUIRE(bench().address(faults[i]) == first + i);
    REQUIRE(first / 32 == (first + faults.size() - 1) / 32);
    ++windows[{first, faults.size()}];
    Stream stream(seed, {1, trial, 0});
    const std::size_t any = stream.below(160);
    ++inside[{any, std::min<std::size_t>(3, 32 - any % 32)}];
  }
  const auto counts = [](const auto& found) {
    std::vector<std::int64_t> values;
    for (const auto& [key, count] : found) values.push_back(count);
    values.resize(5 * 34);
    return values;
  };
  REQUIRE(windows.size() == 5 * 34);
  CHECK(uniform_p(counts(windows)) > five_sigma);
  CHECK(uniform_p(counts(inside)) < five_sigma);

  // At a rate, a bit in three windows is inverted with probability 1 - (1 - p)^3, at the ends of a row too.
  const auto at_rate = bench().attack("burst", 0.05, {{"length", "3"}});
  std::vector<std::int64_t> hits(160);
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    for (const auto& fault : at_rate->perturb(Stream(seed, {2, trial, 0})).faults)
      ++hits[bench().address(fault)];
  }
  for (const std::size_t bit : {0U, 1U, 17U, 31U, 32U, 159U}) {
    CHECK(std::abs(binomial_z(hits[bit], trials, 1 - std::pow(0.95, 3))) < 5);
    CHECK(std::abs(binomial_z(hits[bit], trials, 1 - std::pow(0.95, 2))) > 5);
  }
}

TEST_CASE("words, rows, columns and banks fail equally often, and random contents flip half of their bits") {
  const auto seed = test_seed();
  constexpr std::uint32_t trials = 20000;
  struct Row {
    const char* attack;
    const char* unit;
    std::size_t units;
    std::size_t bits;
  };
  for (const Row& row : {Row{"word", "code", 20, 8}, Row{"word", "memory", 10, 16},
                         Row{"memory", "row", 5, 32}, Row{"memory", "column", 32, 5}}) {
    CAPTURE(row.attack, row.unit);
    const auto all =
        bench().attack(row.attack, 1, {{"mode", "count"}, {"unit", row.unit}, {"value", "invert"}});
    const auto random =
        bench().attack(row.attack, 1, {{"mode", "count"}, {"unit", row.unit}, {"value", "random"}});
    const auto rate = bench().attack(row.attack, 0.1, {{"unit", row.unit}, {"value", "invert"}});
    std::map<std::size_t, std::int64_t> first;
    std::int64_t flipped = 0, hit = 0;
    for (std::uint32_t trial = 0; trial < trials; ++trial) {
      const Stream stream(seed, {0, trial, 0});
      const auto faults = all->perturb(stream).faults;
      REQUIRE(faults.size() == row.bits);
      ++first[bench().address(faults.front())];
      flipped += static_cast<std::int64_t>(random->perturb(stream).faults.size());
      hit += static_cast<std::int64_t>(rate->perturb(stream).faults.size() / row.bits);
    }
    std::vector<std::int64_t> counts;
    for (const auto& [address, count] : first) counts.push_back(count);
    CHECK(counts.size() == row.units);
    CHECK(uniform_p(counts) > five_sigma);
    CHECK(std::abs(binomial_z(flipped, static_cast<std::int64_t>(trials * row.bits), 0.5)) < 5);
    CHECK(std::abs(binomial_z(hit, static_cast<std::int64_t>(trials * row.units), 0.1)) < 5);
    CHECK(std::abs(binomial_z(hit, static_cast<std::int64_t>(trials * row.units), 0.11)) > 5);
  }
}
