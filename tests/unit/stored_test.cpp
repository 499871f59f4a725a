#include <cmath>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/base/error.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("a stored network holds the codes it computes with") {
  const Network network = random_network("6-5-4-3", 1, true);
  for (const auto& format : format_table()) {
    CAPTURE(format.name);
    const auto stored = store(network, format);
    REQUIRE(stored.codes.size() == 3);
    for (int layer = 0; layer < 3; ++layer) {
      const auto& encoded = stored.codes[static_cast<std::size_t>(layer)];
      const auto& weights = stored.network.weights(layer);
      REQUIRE(encoded.rows == static_cast<std::size_t>(weights.weight.rows()));
      REQUIRE(encoded.cols == static_cast<std::size_t>(weights.weight.cols()));
      for (std::size_t i = 0; i < encoded.codes.size(); ++i) {
        REQUIRE(encoded.decode(i) == weights.weight.data()[i]);
        const double moved = std::abs(static_cast<double>(weights.weight.data()[i]) -
                                      static_cast<double>(network.weights(layer).weight.data()[i]));
        REQUIRE(moved <= format.rounding(encoded, network.weights(layer).weight.data()[i], i / encoded.cols));
      }
      CHECK(weights.bias == network.weights(layer).bias);
    }
    CHECK((stored.network.id() == network.id()) == (format.name == "fp32"));
  }
}

TEST_CASE("weights without a finite value in the format are refused by layer and place") {
  Network network = random_network("6-5-4-3", 1, false);
  Weights weights = network.weights(1);
  weights.weight(1, 2) = 70000;
  network = network.with(1, weights);
  try {
    store(network, find_format("fp16"));
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == Exit::bad_input);
    CHECK_THAT(error.what(), Catch::Contains("weight 7 of layer '" + network.layer_name(1) + "' is 70000"));
    CHECK_THAT(error.what(), Catch::Contains("fp16"));
  }
  CHECK_NOTHROW(store(network, find_format("bf16")));
}
