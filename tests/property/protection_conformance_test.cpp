#include <cmath>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/perturb/faults.hpp>
#include <temblor/perturb/protection.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Dataset images() {
  Dataset data;
  data.images = Matrix::Random(30, 8).cwiseAbs();
  for (int n = 0; n < 30; ++n) data.labels.push_back(n % 3);
  return data;
}

/// Every stored bit with probability p.
std::vector<BitFault> random_faults(const StoredNetwork& stored, double p, Stream stream) {
  std::vector<BitAddress> bits;
  for (std::uint32_t layer = 0; layer < stored.codes.size(); ++layer) {
    const auto width = static_cast<std::uint64_t>(stored.format->bits);
    for (const auto position : choose_each(stream, stored.codes[layer].codes.size() * width, p)) {
      bits.push_back({layer, static_cast<std::uint32_t>(position / width),
                      static_cast<std::uint32_t>(position % width)});
    }
  }
  return flips_of(stored.codes, bits);
}

bool same_changes(const Perturbation& a, const Perturbation& b) {
  const auto& x = std::get<SparseDelta>(a.delta).changes;
  const auto& y = std::get<SparseDelta>(b.delta).changes;
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](const Change& one, const Change& other) {
    return one.layer == other.layer && one.index == other.index &&
           (one.after == other.after || (std::isnan(one.after) && std::isnan(other.after)));
  });
}

}  // namespace

TEST_CASE("protections: pure, silent without faults, and the injected faults stay listed") {
  const auto data = images();
  const LayerSet layers{0, 1, 2};
  for (const std::string format : {"fp32", "int8", "int8-affine", "int6", "int4-channel", "posit8-2"}) {
    const auto stored = store(random_network("8-16-12-3", 7, true), find_format(format));
    for (const auto& entry : protection_table()) {
      INFO(format << " " << entry.example);
      const auto choice = parse_protection(entry.example);
      CHECK(parse_protection(choice.text()).text() == choice.text());
      const auto protection = choice.entry->make({stored, data, choice.params});
      CHECK((protection->overhead_bits() == 0) == choice.none());

      Perturbation nothing = with_faults(stored.codes, {});
      const auto quiet = protection->apply({layers}, Stream(1, {}), nothing);
      CHECK(std::get<SparseDelta>(nothing.delta).changes.empty());
      CHECK(quiet.corrected + quiet.detected + quiet.miscorrected + quiet.undetected + quiet.check_faults ==
            0);

      for (const double p : {1e-3, 1e-2, 0.2}) {
        const auto faults = random_faults(stored, p, Stream(2, {}));
        Perturbation first = with_faults(stored.codes, faults);
        Perturbation again = first;
        const auto met = protection->apply({layers, p}, Stream(3, {0, 1, 5}), first);
        protection->apply({layers, p}, Stream(3, {0, 1, 5}), again);
        CHECK(same_changes(first, again));
        CHECK(first.faults.size() == faults.size());
        if (entry.of == ProtectionOf::codes && !faults.empty()) {
          CHECK(met.corrected + met.detected + met.miscorrected + met.undetected > 0);
        }
        // Sorted, each weight once, as a SparseDelta has to be.
        const auto& changes = std::get<SparseDelta>(first.delta).changes;
        for (std::size_t i = 1; i < changes.size(); ++i) {
          CHECK(std::pair(changes[i - 1].layer, changes[i - 1].index) <
                std::pair(changes[i].layer, changes[i].index));
        }
      }
    }
  }
}

TEST_CASE("protections that claim to stay in a set do: no weight ends further from its base") {
  const auto data = images();
  const LayerSet layers{0, 1, 2};
  const auto stored = store(random_network("8-16-12-3", 7, true), find_format("fp32"));
  for (const auto& entry : protection_table()) {
    if (entry.of == ProtectionOf::codes || entry.of == ProtectionOf::activations) continue;
    const auto choice = parse_protection(entry.example);
    const auto protection = choice.entry->make({stored, data, choice.params});
    if (!protection->stays_in(linf_set(stored.network, 1, layers, false))) continue;
    Stream stream(4, {});
    Perturbation perturbation{SparseDelta{}};
    auto& changes = std::get<SparseDelta>(perturbation.delta).changes;
    for (std::uint32_t i = 0; i < 128; ++i)
      changes.push_back({0, i, static_cast<float>(2 * stream.normal())});
    const auto before = changes;
    protection->apply({layers}, Stream(1, {}), perturbation);
    REQUIRE(changes.size() == before.size());
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const float base = stored.network.weights(0).weight.data()[i];
      CHECK(std::min(base, before[i].after) <= changes[i].after);
      CHECK(changes[i].after <= std::max(base, before[i].after));
    }
  }
}
