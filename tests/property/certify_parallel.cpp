#include <catch2/catch.hpp>
#include <oneapi/tbb/global_control.h>
#include <support/networks.hpp>

#include <temblor/campaign/certify.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("certificates and radii are the same whatever the number of threads") {
  const auto stored = store(random_network("8-12-9-4", 9, true), find_format("fp32"));
  const auto data = random_dataset(stored.network, 150, 9);
  const auto& pgd = find_attack("weight-pgd");
  const CertifyRequest request{
      .stored = stored,
      .data = data,
      .family = {[&](double eps, const LayerSet& layers) {
                   return linf_set(stored.network, eps, layers, false);
                 },
                 {"eps", "", "", 0, 1e6, false}},
      .layers = {{0, 1, 2}, {1}},
      .severities = {1e-3, 1e-2},
      .bounds = {{&find_bound("interval"), {}}, {&find_bound("linear"), {}}},
      .attacks = {{&pgd, Params("attack", pgd.params, {{"scope", "sample"}, {"steps", "5"}})}},
      .grid = SeverityGrid::geometric(1e-5, 1, 0.05),
      .attack_radius = true};
  const auto run = [&](std::size_t threads) {
    const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, threads);
    return certify(request);
  };
  const auto one = run(1), four = run(4);
  for (std::size_t c = 0; c < 2; ++c) {
    for (std::size_t b = 0; b < 2; ++b) {
      CHECK(one.bounds[c][b].radius == four.bounds[c][b].radius);
      CHECK(one.bounds[c][b].drop == four.bounds[c][b].drop);
      CHECK(one.bounds[c][b].drop_float32 == four.bounds[c][b].drop_float32);
    }
    CHECK(one.attacks[c].drop == four.attacks[c].drop);
    CHECK(one.attacks[c].radius == four.attacks[c].radius);
  }
}
