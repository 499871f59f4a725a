#include <catch2/catch.hpp>
#include <oneapi/tbb/global_control.h>
#include <support/evaluate.hpp>

#include <temblor/evaluate/census.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("census: the same for one thread and for many") {
  Maker maker(61);
  const Network network = maker.network("9-16-12-6-5", "relu", true);
  const Dataset data = maker.data(200, 9, 5, 0.4);
  const StoredNetwork stored = store(network, find_format("fp32"));
  const Evaluator evaluator(stored.network, data);
  CensusRequest request;
  request.layers = {0, 1, 2, 3};
  for (int bit = 0; bit < 32; ++bit) request.bits.push_back(bit);
  std::vector<Census> censuses;
  for (const std::size_t threads : {1, 4}) {
    const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, threads);
    censuses.push_back(take_census(stored, data, evaluator, request));
  }
  CHECK(censuses[0].inferred == censuses[1].inferred);
  for (std::size_t m = 0; m < 4; ++m) {
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
