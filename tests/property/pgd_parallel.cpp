#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <tbb/task_arena.h>

#include <temblor/attacks/pgd.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

template <class Run>
auto on_threads(int threads, const Run& run) {
  tbb::task_arena arena(threads);
  return arena.execute(run);
}

}  // namespace

TEST_CASE("weight-pgd gives the same bytes for 1, 2 and 5 threads") {
  const Network network = random_network("9-7-5-3", 1, true);
  const Dataset data = random_dataset(network, 700, 2);
  const ThreatSet set = linf_set(network, 0.02, {0, 1, 2}, true);
  pgd::Options options;
  options.steps = 6;
  options.step = 0.2;
  for (const Index batch : {0, 150}) {
    options.batch = batch;
    const auto run = [&] { return pgd::universal(network, data, set, options, Stream(1, {})); };
    const DenseDelta one = on_threads(1, run);
    for (const int threads : {2, 5}) {
      const DenseDelta many = on_threads(threads, run);
      for (std::size_t m = 0; m < 3; ++m) CHECK(same_bits(*one.layers[m], *many.layers[m]));
    }
  }
  options.batch = 0;
  options.loss = pgd::Loss::margin;
  const auto run = [&] { return pgd::per_sample(network, data, set, options, Stream(1, {})); };
  const SampleDelta one = on_threads(1, run);
  for (const int threads : {2, 5}) {
    const SampleDelta many = on_threads(threads, run);
    for (std::size_t m = 0; m < 3; ++m) CHECK(one.slack[m] == many.slack[m]);
  }
}
