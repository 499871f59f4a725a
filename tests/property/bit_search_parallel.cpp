#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <tbb/parallel_for.h>

#include <temblor/attacks/flip_search.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("bit search: threads that run trials at once do not disturb one another") {
  const Network network = random_network("10-8-6-4", 2, true);
  const Dataset data = random_dataset(network, 600, 3);
  const auto stored = store(network, find_format("int8"));
  const auto& entry = find_attack("progressive-bit-search");
  const auto attack =
      make_attack(entry, {stored.network,
                          data,
                          *stored.format,
                          {0, 1, 2},
                          6,
                          Params("attack 'progressive-bit-search'", entry.params, {{"batch", "300"}}),
                          &stored});
  const auto& search = dynamic_cast<const FlipSearch&>(*attack);
  const auto stream = [](std::size_t k) { return Stream(1, {0, static_cast<std::uint32_t>(k % 4), 0}); };
  std::vector<FlipLog> many(16);
  tbb::parallel_for(std::size_t{0}, many.size(), [&](std::size_t k) { many[k] = search.search(stream(k)); });
  for (std::size_t k = 0; k < many.size(); ++k) {
    const auto one = search.search(stream(k));
    REQUIRE(one.steps.size() == 6);
    REQUIRE(many[k].steps.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(one.steps[i].flip.layer == many[k].steps[i].flip.layer);
      CHECK(one.steps[i].flip.index == many[k].steps[i].flip.index);
      CHECK(one.steps[i].flip.bit == many[k].steps[i].flip.bit);
      CHECK(one.steps[i].effect.loss == many[k].steps[i].effect.loss);
    }
  }
}
