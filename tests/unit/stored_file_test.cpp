#include <array>
#include <fstream>
#include <functional>
#include <limits>

#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <support/paths.hpp>

#include <temblor/base/error.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;
using Catch::Contains;
using hdf5::Group;

namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// One layer of codes, spoilt by `change`, and what loading it says.
std::string refusal(const std::string& format, const std::function<void(const Group&)>& change) {
  const TemporaryDirectory directory;
  const auto path = directory.file("net.h5");
  {
    const auto file = hdf5::File::create(path);
    hdf5::stamp(file, "temblor-network", 1, 1);
    file.set<std::int64_t>("input_shape", std::array<std::int64_t, 1>{2});
    const Group layer = file.create_group("layers/0");
    layer.set_text("kind", "dense");
    layer.set_text("format", format);
    change(layer);
    file.close();
  }
  try {
    load_network(path);
  } catch (const Error& error) {
    CHECK(error.code() == Exit::bad_input);
    CHECK_THAT(error.what(), Contains(path));
    return error.what();
  }
  return "accepted";
}

void put_codes(const Group& layer, std::array<std::uint8_t, 4> codes = {1, 2, 0x80, 0xff}) {
  layer.write<std::uint8_t>("codes", codes, {2, 2});
}
template <class T>
void put(const Group& layer, const std::string& name, std::vector<T> values) {
  layer.write<T>(name, values, {values.size()});
}

}  // namespace

TEST_CASE("stored codes of every format survive save and load, byte for byte") {
  const TemporaryDirectory directory;
  const Network network = random_network("6-5-4-3", 3, true);
  auto formats = format_table();
  for (const auto* name : {"int12-channel", "q3.12", "uint16", "posit16-2"})
    formats.push_back(find_format(name));
  for (const auto& listed : formats) {
    const Format& format = find_format(listed.name);
    CAPTURE(format.name);
    const Network stored = quantise(network, format, {0, 2});
    save_network(stored, directory.file("a.h5"));
    const Network loaded = load_network(directory.file("a.h5"));
    CHECK(loaded.id() == stored.id());
    CHECK(loaded.id() != network.id());
    CHECK(loaded.codes(1) == nullptr);
    for (const int layer : {0, 2}) {
      const Encoded* codes = loaded.codes(layer);
      REQUIRE(codes != nullptr);
      CHECK(codes->format == &format);
      CHECK(codes->codes == stored.codes(layer)->codes);
      CHECK(codes->scale == stored.codes(layer)->scale);
      CHECK(codes->zero_point == stored.codes(layer)->zero_point);
      CHECK(loaded.weights(layer).weight == stored.weights(layer).weight);
      CHECK(loaded.weights(layer).bias == network.weights(layer).bias);
    }
    save_network(loaded, directory.file("b.h5"));
    CHECK(bytes_of(directory.file("a.h5")) == bytes_of(directory.file("b.h5")));
  }
}

TEST_CASE("a network's own codes are stored as they are, other formats encode the decoded weights") {
  const Format& int4 = find_format("int4");
  Network network = random_network("6-5-4-3", 4, true);
  Encoded codes = *quantise(network, int4, {1}).codes(1);
  codes.scale[0] *= 2;  // no longer what encoding the weights gives
  codes.codes[3] = 0x8;
  network.set_codes(1, codes);
  const auto stored = store(network, int4);
  CHECK(stored.codes[1].codes == codes.codes);
  CHECK(stored.codes[1].scale == codes.scale);
  CHECK(stored.network.weights(1).weight == network.weights(1).weight);
  CHECK(stored.codes[0].scale == store(network, find_format("int4")).codes[0].scale);
  CHECK(store(network, find_format("int8")).codes[1].codes != codes.codes);
  CHECK(quantise(network, int4, {0, 1, 2}).codes(1)->codes == codes.codes);

  const Network replaced = network.with(1, network.weights(1));
  CHECK(replaced.codes(1) == nullptr);
  CHECK(replaced.id() != network.id());
  codes.codes[0] ^= 1U;
  Network other = network;
  other.set_codes(1, codes);
  CHECK(other.id() != network.id());
}

TEST_CASE("stochastic quantisation depends on seed and layer alone") {
  const Network network = random_network("6-5-4-3", 5, false);
  const Format& format = find_format("int2-channel");
  const auto all = quantise(network, format, {0, 1, 2}, 9);
  CHECK(quantise(network, format, {2}, 9).codes(2)->codes == all.codes(2)->codes);
  CHECK(quantise(network, format, {2}, 10).codes(2)->codes != all.codes(2)->codes);
  CHECK(quantise(network, format, {2}).codes(2)->scale == all.codes(2)->scale);
}

TEST_CASE("damaged codes are refused, with object and cure") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto scaled = [](const Group& layer) { put_codes(layer), put<float>(layer, "scale", {0.5F}); };
  CHECK(refusal("int8", scaled) == "accepted");
  CHECK(refusal("int5", [](const Group& layer) {
          put_codes(layer, {31, 0, 1, 16}), put<float>(layer, "scale", {0.5F});
        }) == "accepted");
  CHECK(refusal("fp8-e4m3", [](const Group& layer) { put_codes(layer, {1, 2, 3, 0x7e}); }) == "accepted");
  CHECK_THAT(refusal("int4", scaled), Contains("/layers/0/codes") && Contains("128, outside 0 to 15"));
  CHECK_THAT(refusal("int9x", scaled), Contains("/layers/0/@format"));
  CHECK_THAT(refusal("int99", scaled), Contains("/layers/0/@format") && Contains("2 to 16 bits"));
  CHECK_THAT(refusal("int8", [](const Group& layer) { put_codes(layer); }),
             Contains("/layers/0/scale") && Contains("missing"));
  CHECK_THAT(refusal("int8-channel", scaled), Contains("/layers/0/scale") && Contains("store 2 values"));
  for (const float bad : {nan, -nan, HUGE_VALF, -1.0F}) {
    CHECK_THAT(
        refusal("int8", [&](const Group& layer) { put_codes(layer), put<float>(layer, "scale", {bad}); }),
        Contains("/layers/0/scale"));
  }
  CHECK_THAT(refusal("fp16", scaled), Contains("/layers/0/scale") && Contains("has none"));
  CHECK_THAT(refusal("int8",
                     [&](const Group& layer) { scaled(layer), put<std::int32_t>(layer, "zero_point", {0}); }),
             Contains("/layers/0/zero_point"));
  CHECK_THAT(refusal("uint8", scaled), Contains("/layers/0/zero_point") && Contains("missing"));
  for (const std::int32_t zero : {-1, 256}) {
    CHECK_THAT(
        refusal("uint8",
                [&](const Group& layer) { scaled(layer), put<std::int32_t>(layer, "zero_point", {zero}); }),
        Contains("/layers/0/zero_point") && Contains("0 to 255"));
  }
  CHECK_THAT(
      refusal("int8-affine",
              [&](const Group& layer) { scaled(layer), put<std::int32_t>(layer, "zero_point", {128}); }),
      Contains("-128 to 127"));
  CHECK_THAT(refusal("fp8-e4m3",
                     [](const Group& layer) {
                       put_codes(layer, {1, 2, 3, 0x7f});
                     }),
             Contains("weight 3") && Contains("nan"));
  CHECK_THAT(refusal("int8",
                     [](const Group& layer) {
                       layer.write<float>("codes", std::array{1.0F, 2.0F, 3.0F, 4.0F}, {2, 2});
                       put<float>(layer, "scale", {1});
                     }),
             Contains("/layers/0/codes"));
  CHECK_THAT(refusal("int8",
                     [](const Group& layer) {
                       layer.write<std::int8_t>("codes", std::array<std::int8_t, 4>{1, 2, 3, -4}, {2, 2});
                       put<float>(layer, "scale", {1});
                     }),
             Contains("entry 3 is -4"));
  CHECK_THAT(refusal("int8",
                     [](const Group& layer) {
                       put<std::uint8_t>(layer, "codes", {1, 2, 3, 4});
                     }),
             Contains("/layers/0/codes") && Contains("1 dimensions"));
  CHECK_THAT(refusal("int8",
                     [&](const Group& layer) {
                       scaled(layer);
                       layer.write<float>("weight", std::array{1.0F, 2.0F, 3.0F, 4.0F}, {2, 2});
                     }),
             Contains("/layers/0/weight") && Contains("codes as well"));
  CHECK_THAT(refusal("int8",
                     [&](const Group& layer) {
                       layer.write<float>("weight", std::array{1.0F, 2.0F, 3.0F, 4.0F}, {2, 2});
                     }),
             Contains("/layers/0/@format") && Contains("no codes"));
}
