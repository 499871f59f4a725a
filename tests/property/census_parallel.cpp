#include <catch2/catch.hpp>
#include <oneapi/tbb/global_control.h>
#include <support/build.hpp>

#include <temblor/evaluate/census.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

void check_threads(const Network& network, const Dataset& data) {
  const StoredNetwork stored = store(network, find_format("fp32"));
  const Evaluator evaluator(stored.network, data);
  CensusRequest request;
  for (int layer = 0; layer < network.layers(); ++layer) request.layers.push_back(layer);
  for (int bit = 0; bit < 32; ++bit) request.bits.push_back(bit);
  std::vector<Census> censuses;
  for (const std::size_t threads : {1, 4}) {
    const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, threads);
    censuses.push_back(take_census(stored, data, evaluator, request));
  }
  CHECK(censuses[0].inferred == censuses[1].inferred);
  for (std::size_t m = 0; m < request.layers.size(); ++m) {
    const LayerCensus& one = censuses[0].layers[m];
    const LayerCensus& many = censuses[1].layers[m];
    CHECK(one.changed == many.changed);
    CHECK(one.broken == many.broken);
    CHECK(one.fixed == many.fixed);
    CHECK(one.no_prediction == many.no_prediction);
    CHECK(one.worst_drop == many.worst_drop);
    CHECK(one.worst_image == many.worst_image);
  }
}

}  // namespace

TEST_CASE("census: the same for one thread and for many") {
  Maker maker(61);
  check_threads(maker.network("9-16-12-6-5", "relu", true), maker.data(200, 9, 5, 0.4));
}

TEST_CASE("census of convolutions: the same for one thread and for many") {
  Maker maker(62);
  check_threads(pooled_network(maker, false), maker.data(60, 72, 3, 0.4));
}
