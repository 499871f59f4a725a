#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include <catch2/catch.hpp>
#include <support/hostile.hpp>
#include <support/networks.hpp>
#include <support/paths.hpp>

#include <temblor/base/error.hpp>
#include <temblor/network/safetensors.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

std::string bytes_of_length(std::uint64_t length) {
  return {reinterpret_cast<const char*>(&length), sizeof length};
}

/// A file built tensor by tensor.
class Tensors {
 public:
  template <class T>
  Tensors& add(const std::string& name, const std::string& type, const std::vector<std::size_t>& shape,
               const std::vector<T>& values) {
    const auto begin = data_.size();
    data_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    std::string dims;
    for (const auto size : shape) dims += (dims.empty() ? "" : ",") + std::to_string(size);
    raw("\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":[" + dims + "],\"data_offsets\":[" +
        std::to_string(begin) + "," + std::to_string(data_.size()) + "]}");
    return *this;
  }
  Tensors& add(const std::string& name, const std::vector<std::size_t>& shape,
               const std::vector<float>& values) {
    return add(name, "F32", shape, values);
  }
  Tensors& raw(const std::string& entry) {
    header_ += (header_.empty() ? "" : ",") + entry;
    return *this;
  }
  Tensors& data(const std::string& bytes) {
    data_ += bytes;
    return *this;
  }
  std::string bytes() const {
    const std::string header = "{\"__metadata__\":{\"format\":\"pt\"}," + header_ + "}  ";
    return bytes_of_length(header.size()) + header + data_;
  }

 private:
  std::string header_;
  std::string data_;
};

SafetensorsNetwork load(const std::string& bytes, const Network& network,
                        const std::vector<std::pair<std::string, std::string>>& renamed = {}) {
  const TemporaryDirectory directory;
  std::ofstream(directory.file("w.safetensors"), std::ios::binary) << bytes;
  CHECK(is_safetensors(directory.file("w.safetensors")));
  return import_safetensors(directory.file("w.safetensors"), network, renamed);
}

std::string problem(const std::string& bytes, const Network& network) {
  try {
    load(bytes, network);
  } catch (const Error& error) {
    CHECK(error.code() == Exit::bad_input);
    return error.what();
  }
  return "loaded";
}

/// fc1 [2 x 3] with bias, relu, fc2 [2 x 2] without.
Network two_layers() {
  Network network({{3}}, {});
  network.add(make_layer("dense"), {Matrix::Zero(2, 3), Vector::Zero(2)}, {}, "fc1");
  network.add(make_layer("relu"));
  network.add(make_layer("dense"), {Matrix::Zero(2, 2), {}}, {}, "fc2");
  return network;
}

Tensors good() {
  return Tensors()
      .add("fc2.weight", {2, 2}, {7, 8, 9, 10})
      .add("fc1.weight", {2, 3}, {1, 2, 3, 4, 5, 6})
      .add("fc1.bias", {2}, {-1, -2});
}

}  // namespace

TEST_CASE("safetensors: tensors go into the layers of their names") {
  const auto [network, notes] = load(good().bytes(), two_layers());
  CHECK(notes.empty());
  Matrix first(2, 3);
  first << 1, 2, 3, 4, 5, 6;
  Matrix second(2, 2);
  second << 7, 8, 9, 10;
  CHECK(network.weights(0).weight == first);
  CHECK(network.weights(0).bias == Vector{{-1, -2}});
  CHECK(network.weights(1).weight == second);
  CHECK(network.weights(1).bias.size() == 0);
}

TEST_CASE("safetensors: all types of reals") {
  Network network({{2}}, {});
  network.add(make_layer("dense"), {Matrix::Zero(2, 2), Vector::Zero(2)}, {}, "a");
  Matrix expected(2, 2);
  expected << 1.5F, -2, 0.25F, 0;
  const auto half = Tensors()
                        .add<std::uint16_t>("a.weight", "F16", {2, 2}, {0x3e00, 0xc000, 0x3400, 0x8000})
                        .add<std::uint16_t>("a.bias", "BF16", {2}, {0x3fc0, 0xc000});
  const auto from_half = load(half.bytes(), network);
  CHECK(from_half.network.weights(0).weight == expected);
  CHECK(from_half.network.weights(0).bias == Vector{{1.5F, -2}});
  CHECK(from_half.notes.empty());
  const auto wide = Tensors()
                        .add<double>("a.weight", "F64", {2, 2}, {1.5, -2, 0.25, 0})
                        .add<double>("a.bias", "F64", {2}, {0.1, 1});
  const auto from_wide = load(wide.bytes(), network);
  CHECK(from_wide.network.weights(0).weight == expected);
  CHECK(from_wide.network.weights(0).bias == Vector{{0.1F, 1}});
  CHECK(from_wide.notes == std::vector<std::string>{"F64 values are rounded to 32-bit floats"});
  const auto far = Tensors()
                       .add<double>("a.weight", "F64", {2, 2}, {1e300, 0, 0, 0})
                       .add<double>("a.bias", "F64", {2}, {0, 0});
  CHECK_THAT(problem(far.bytes(), network), Catch::Contains("tensor 'a.weight' in '"));
  CHECK_THAT(problem(far.bytes(), network), Catch::Contains("a value is 1e+300"));
  const auto whole =
      Tensors().add<std::int32_t>("a.weight", "I32", {2, 2}, {1, 2, 3, 4}).add("a.bias", {2}, {0, 0});
  CHECK_THAT(problem(whole.bytes(), network), Catch::Contains("its type is I32"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto bad = Tensors().add("a.weight", {2, 2}, {1, nan, 3, 4}).add("a.bias", {2}, {0, 0});
  CHECK_THAT(problem(bad.bytes(), network), Catch::Contains("a value is nan"));
}

TEST_CASE("safetensors: convolutions, scale layers with statistics, and names of torch's ONNX nodes") {
  Network network({{2, 4, 4}}, {});
  network.add(make_layer("conv2d", {{"kernel", {3, 2}}}), {Matrix::Zero(3, 12), {}}, {},
              "/block/block.0/conv/Conv");
  network.add(make_layer("scale"), {Matrix::Ones(3, 1), Vector::Zero(3)}, {}, "bn");
  network.add(make_layer("dense"), {Matrix::Zero(2, 18), Vector::Zero(2)}, {}, "/fc/Gemm");
  std::vector<float> kernel(36);
  for (std::size_t i = 0; i < kernel.size(); ++i) kernel[i] = static_cast<float>(i) / 8;
  const auto make = [&](const std::vector<std::size_t>& shape) {
    return Tensors()
        .add("block.0.conv.weight", shape, kernel)
        .add("bn.weight", {3}, {1, 2, 3})
        .add("bn.bias", {3}, {0.5F, 0, -1})
        .add("bn.running_mean", {3}, {4, 5, 6})
        .add("bn.running_var", {3}, {0.25F, 1, 4})
        .add<std::int64_t>("bn.num_batches_tracked", "I64", {}, {7})
        .add("fc.weight", {2, 18}, kernel)
        .add("fc.bias", {2}, {1, 2})
        .bytes();
  };
  const auto [loaded, notes] = load(make({3, 2, 3, 2}), network);
  CHECK(loaded.weights(0).weight == Matrix(Eigen::Map<const Matrix>(kernel.data(), 3, 12)));
  CHECK(loaded.weights(2).weight == Matrix(Eigen::Map<const Matrix>(kernel.data(), 2, 18)));
  for (Index i = 0; i < 3; ++i) {
    const double gain = static_cast<double>(i + 1) /
                        std::sqrt(std::vector<double>{0.25, 1, 4}[static_cast<std::size_t>(i)] + 1e-5);
    CHECK(loaded.weights(1).weight(i, 0) == static_cast<float>(gain));
    CHECK(loaded.weights(1).bias[i] ==
          static_cast<float>(std::vector<double>{0.5, 0, -1}[static_cast<std::size_t>(i)] -
                             gain * static_cast<double>(4 + i)));
  }
  CHECK(notes.size() == 2);
  CHECK_THAT(
      problem(make({3, 2, 2, 3}), network),
      Catch::Contains("its shape is [3, 2, 2, 3], layer '/block/block.0/conv/Conv' needs [3, 2, 3, 2]"));
}

TEST_CASE("safetensors: missing, left over and misshapen tensors are named, with the nearest") {
  const auto missing = Tensors()
                           .add("fc1.weight", {2, 3}, {1, 2, 3, 4, 5, 6})
                           .add("fc1.bias", {2}, {0, 0})
                           .add("fc_2.weight", {2, 2}, {1, 2, 3, 4});
  CHECK_THAT(problem(missing.bytes(), two_layers()), Catch::Contains("layer 'fc2'"));
  CHECK_THAT(problem(missing.bytes(), two_layers()), Catch::Contains("did you mean 'fc_2.weight'?"));
  CHECK_THAT(problem(missing.bytes(), two_layers()), Catch::Contains("--rename NAME=fc2"));
  const auto [network, notes] = load(missing.bytes(), two_layers(), {{"fc_2", "fc2"}});
  CHECK(network.weights(1).weight(1, 0) == 3);
  CHECK_THROWS_WITH(load(missing.bytes(), two_layers(), {{"fc_2", "fc3"}}),
                    Catch::Contains("unknown layer with weights 'fc3'"));
  CHECK_THAT(problem(good().add("fc2.bias", {2}, {0, 0}).bytes(), two_layers()),
             Catch::Contains("layer 'fc2' has no bias"));
  CHECK_THAT(problem(good().add("fc3.weight", {1}, {0}).bytes(), two_layers()),
             Catch::Contains("tensor 'fc3.weight' in '"));
  CHECK_THAT(problem(good().add("fc3.weight", {1}, {0}).bytes(), two_layers()),
             Catch::Contains("nearest name is 'fc"));
  const auto turned = Tensors()
                          .add("fc2.weight", {2, 2}, {7, 8, 9, 10})
                          .add("fc1.weight", {3, 2}, {1, 2, 3, 4, 5, 6})
                          .add("fc1.bias", {2}, {-1, -2});
  CHECK_THAT(problem(turned.bytes(), two_layers()),
             Catch::Contains("its shape is [3, 2], layer 'fc1' needs [2, 3]"));
}

TEST_CASE("safetensors: codes of the network give way, and that is said") {
  const auto network = quantise(random_network("4-3-2", 5, true), find_format("int8"), {0});
  const std::string name = network.layer_name(0);
  const auto file = Tensors()
                        .add(name + ".weight", {3, 4}, std::vector<float>(12, 0.3F))
                        .add(name + ".bias", {3}, {1, 2, 3})
                        .add(network.layer_name(1) + ".weight", {2, 3}, std::vector<float>(6, 1))
                        .add(network.layer_name(1) + ".bias", {2}, {1, 2});
  const auto [loaded, notes] = load(file.bytes(), network);
  CHECK(loaded.codes(0) == nullptr);
  CHECK(loaded.weights(0).weight(0, 0) == 0.3F);
  REQUIRE(notes.size() == 1);
  CHECK_THAT(notes[0], Catch::Contains("held codes in int8"));
}

TEST_CASE("safetensors: damaged and hostile files are refused") {
  const Network network = two_layers();
  const auto refused = [&](const std::string& bytes, const std::string& text) {
    CAPTURE(text);
    CHECK_THAT(problem(bytes, network), Catch::Contains(text));
  };
  refused("abc", "not even a header");
  refused(bytes_of_length(std::uint64_t{1} << 63U) + "{}", "its header claims 9223372036854775808 bytes");
  refused(bytes_of_length(20) + "{}", "its header claims 20 bytes");
  refused(bytes_of_length(2) + "{}", "it holds no tensors");
  refused(bytes_of_length(2) + "[]", "no JSON object");
  refused(bytes_of_length(3) + "{\"a", "no JSON object");
  refused(bytes_of_length(4000) + std::string(4000, '['), "no JSON object");
  refused(good().raw("\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[48,48]}").bytes(),
          "names 'fc1.bias' twice");
  const auto entry = [](const std::string& rest) { return good().raw("\"x\":{" + rest + "}").bytes(); };
  refused(good().raw("\"x\":7").bytes(), "tensor 'x' in '");
  refused(entry("\"dtype\":\"F32\",\"shape\":[1]"), "no dtype, shape and data_offsets");
  refused(entry("\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]"), "its dtype is unknown");
  refused(entry("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"),
          "its shape is no list of whole numbers");
  refused(entry("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"),
          "its data_offsets are not a range");
  refused(entry("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]"),
          "its data_offsets are not a range");
  refused(entry("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), "those of another tensor as well");
  refused(entry("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[48,52]"), "take 8 bytes, it has 4");
  refused(entry("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],\"data_offsets\":[48,52]"),
          "its shape is impossible");
  refused(entry("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[48,52]"), "it ends at byte 52 of 48");
  refused(entry("\"dtype\":\"F32\",\"shape\":[1099511627776],\"data_offsets\":[48,4398046511152]"),
          "it ends at byte");
  refused(good().data("1234").bytes(), "4 bytes at its end belong to no tensor");
  refused(
      good().raw("\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[52,56]}").data("12345678").bytes(),
      "bytes before it belong to no tensor");
}

TEST_CASE("safetensors: spoilt files load or are refused") {
  const TemporaryDirectory directory;
  const auto path = directory.file("w.safetensors");
  const std::string bytes = good().bytes();
  const Network network = two_layers();
  int loaded = 0;
  for (std::uint32_t round = 0; round < 3000; ++round) {
    Stream stream(9, {0, round, 0});
    std::ofstream(path, std::ios::binary) << spoil(bytes, stream);
    try {
      import_safetensors(path, network);
      ++loaded;
    } catch (const Error& error) {
      REQUIRE(error.code() == Exit::bad_input);
    }
  }
  CHECK(loaded > 0);
  CHECK(loaded < 3000);
}
