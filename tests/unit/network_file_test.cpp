#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include <catch2/catch.hpp>
#include <support/paths.hpp>
#include <support/python.hpp>

#include <temblor/base/error.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>

using namespace temblor;
using hdf5::File;
using hdf5::Group;
using temblor::testing::TemporaryDirectory;

namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Network example() {
  Network network({{1, 2, 2}}, {1.0 / 16, {0.25}, {0.5}});
  Weights first{Matrix::Random(3, 4), Vector::Random(3)};
  Weights second{Matrix::Random(2, 3), {}};
  network.add(make_layer("flatten"));
  network.add(make_layer("dense"), first, {}, "hidden");
  network.add(make_layer("relu"));
  network.add(make_layer("dense"), second, {2});
  return network;
}

/// Writes a small valid file by hand, lets `change` spoil it, and loads it.
struct Draft {
  File file;
  Group first;
  Group second;
};

void write_draft(const std::string& path, const std::function<void(const Draft&)>& change) {
  const File file = File::create(path);
  hdf5::stamp(file, "temblor-network", 1, 0);
  file.set<std::int64_t>("input_shape", std::array<std::int64_t, 1>{2});
  Draft draft{file, file.create_group("layers/0"), file.create_group("layers/1")};
  draft.first.set_text("kind", "dense");
  draft.first.write<float>("weight", std::array{1.0F, 2.0F, 3.0F, 4.0F}, {2, 2});
  draft.second.set_text("kind", "relu");
  change(draft);
  file.close();
}

std::string refusal(const std::function<void(const Draft&)>& change) {
  const TemporaryDirectory directory;
  const auto path = directory.file("net.h5");
  write_draft(path, change);
  try {
    load_network(path);
  } catch (const Error& error) {
    CHECK(error.code() == Exit::bad_input);
    CHECK_THAT(error.what(), Catch::Contains(path));
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a saved network loads as the same network, and saves to the same bytes") {
  const TemporaryDirectory directory;
  const Network network = example();
  save_network(network, directory.file("a.h5"));
  const Network loaded = load_network(directory.file("a.h5"));
  CHECK(loaded.id() == network.id());
  CHECK(loaded.scaling() == network.scaling());
  CHECK(loaded.input() == network.input());
  CHECK(loaded.layer_name(0) == "hidden");
  CHECK(loaded.weights(1).bias.size() == 0);
  CHECK(loaded.nodes()[3].inputs == std::vector<int>{2});
  save_network(loaded, directory.file("b.h5"));
  CHECK(bytes_of(directory.file("a.h5")) == bytes_of(directory.file("b.h5")));
}

TEST_CASE("saving is all or nothing and leaves no other file") {
  const TemporaryDirectory directory;
  save_network(example(), directory.file("a.h5"));
  save_network(example(), directory.file("a.h5"));
  CHECK_THROWS_AS(save_network(example(), directory.file("missing/a.h5")), Error);
  std::filesystem::create_directory(directory.file("taken.h5"));
  CHECK_THROWS_WITH(save_network(example(), directory.file("taken.h5")), Catch::Contains("taken.h5"));
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory.path())) ++entries;
  CHECK(entries == 2);
}

TEST_CASE("a minimal file loads with its defaults; unknown additions are ignored") {
  const TemporaryDirectory directory;
  write_draft(directory.file("net.h5"), [](const Draft& draft) {
    draft.file.set_text("title", "mine");
    draft.file.set_text("colour", "blue");
    draft.file.create_group("notes");
    draft.file.create_group("layers/notes");
    draft.first.write<std::int32_t>("age", std::array{3}, {1});
  });
  const Network network = load_network(directory.file("net.h5"));
  CHECK(network.scaling() == InputScaling{});
  CHECK(network.weights(0).weight(0, 1) == 2);
  CHECK(network.classes() == 2);
}

TEST_CASE("every spoilt part of a network file is refused by name") {
  using Catch::Contains;
  const auto set_shape = [](std::vector<std::int64_t> shape) {
    return [shape](const Draft& draft) { draft.file.set<std::int64_t>("input_shape", shape); };
  };
  const auto set_real = [](const std::string& name, std::vector<double> values) {
    return [name, values](const Draft& draft) { draft.file.set<double>(name, values); };
  };
  const auto set_inputs = [](std::vector<std::int32_t> inputs) {
    return [inputs](const Draft& draft) { draft.second.set<std::int32_t>("inputs", inputs); };
  };
  const auto add_layer = [](const std::string& kind, std::vector<float> weight, hdf5::Dims dims) {
    return [=](const Draft& draft) {
      const Group group = draft.file.create_group("layers/2");
      group.set_text("kind", kind);
      group.write<float>("weight", weight, dims);
    };
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const float nan32 = std::numeric_limits<float>::quiet_NaN();

  CHECK(refusal([](const Draft&) {}) == "accepted");
  CHECK_THAT(refusal([](const Draft& d) { d.file.set_text("filetype", "temblor-result"); }),
             Contains("temblor-result"));
  CHECK_THAT(refusal([](const Draft& d) { hdf5::stamp(d.file, "temblor-network", 2, 1); }),
             Contains("2.1") && Contains("1.x"));
  CHECK_THAT(refusal([](const Draft& d) { d.file.set_text("schema_version", "1.0"); }),
             Contains("schema_version"));
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{},
                                                                  {0},
                                                                  {-1},
                                                                  {2, 1, 1, 1},
                                                                  {3},
                                                                  {1LL << 40},
                                                                  {1LL << 32, 1LL << 32, 1LL << 32},
                                                                  {INT64_MAX, 2}}) {
    CHECK(refusal(set_shape(shape)) != "accepted");
  }
  CHECK_THAT(refusal(set_shape({1LL << 40})), Contains("input_shape"));
  CHECK_THAT(refusal([](const Draft& d) { d.file.set_text("input_shape", "2"); }), Contains("input_shape"));
  CHECK_THAT(refusal(set_real("scale", {nan})), Contains("@scale"));
  CHECK_THAT(refusal(set_real("scale", {0})), Contains("@scale"));
  CHECK_THAT(refusal(set_real("scale", {1, 1})), Contains("@scale"));
  CHECK_THAT(refusal(set_real("mean", {0, 0, 0})), Contains("@mean"));
  CHECK_THAT(refusal(set_real("std", {0})), Contains("@std"));
  CHECK_THAT(refusal(set_real("std", {nan})), Contains("@std"));
  CHECK_THAT(refusal([](const Draft& d) { d.second.set_text("kind", "relo"); }),
             Contains("did you mean 'relu'") && Contains("/layers/1"));
  CHECK_THAT(refusal([](const Draft& d) { d.second.set_text("kind", ""); }), Contains("/layers/1"));
  CHECK_THAT(refusal([](const Draft& d) { d.file.create_group("layers/2"); }), Contains("/layers/2/@kind"));
  CHECK_THAT(refusal([](const Draft& d) { d.file.create_group("layers/3"); }), Contains("/layers/2"));
  CHECK_THAT(refusal([](const Draft& d) { d.second.set_text("kind", "dense"); }),
             Contains("/layers/1/weight"));
  CHECK_THAT(refusal([](const Draft& d) { d.second.write<float>("weight", std::array{1.0F}, {1}); }),
             Contains("no parameters"));
  CHECK_THAT(refusal(add_layer("dense", {1, 2, 3}, {1, 3})), Contains("/layers/2") && Contains("2 values"));
  CHECK_THAT(refusal(add_layer("dense", {1, 2}, {2})), Contains("/layers/2/weight"));
  CHECK_THAT(refusal(add_layer("dense", {}, {0, 2})), Contains("/layers/2/weight"));
  CHECK_THAT(refusal(add_layer("dense", {1, 2}, {1, 2})), Contains("one output"));
  CHECK_THAT(refusal(add_layer("dense", {1, 2, nan32, 4}, {2, 2})), Contains("/layers/2") && Contains("nan"));
  CHECK_THAT(refusal([](const Draft& d) { d.first.write<float>("bias", std::array{1.0F}, {1}); }),
             Contains("/layers/0/bias"));
  CHECK_THAT(refusal([](const Draft& d) {
               d.first.write<float>("bias", std::array{1.0F, 2.0F}, {2, 1});
             }),
             Contains("/layers/0/bias"));
  CHECK_THAT(refusal([&](const Draft& d) {
               d.first.write<double>("bias", std::array{1.0, std::numeric_limits<double>::infinity()}, {2});
             }),
             Contains("inf"));
  CHECK_THAT(refusal([&](const Draft& d) {
               d.first.write<double>("bias", std::array{1.0, 1e300}, {2});
             }),
             Contains("/layers/0/bias"));
  CHECK_THAT(refusal([](const Draft& d) {
               d.first.write_strings("bias", {"a", "b"});
             }),
             Contains("/layers/0/bias"));
  for (const std::int32_t input : {1, 2, -2, INT32_MAX, INT32_MIN}) {
    CHECK_THAT(refusal(set_inputs({input})), Contains("/layers/1/@inputs"));
  }
  CHECK_THAT(refusal(set_inputs({})), Contains("/layers/1/@inputs"));
  CHECK_THAT(refusal(set_inputs({0, 0})), Contains("/layers/1"));
  CHECK_THAT(refusal([](const Draft& d) { d.first.set_text("name", "a"), d.second.set_text("name", "a"); }),
             Contains("'a'"));
}

TEST_CASE("a truncated network file is refused at every length") {
  const TemporaryDirectory directory;
  const auto path = directory.file("net.h5");
  save_network(example(), path);
  const std::string whole = bytes_of(path);
  for (std::size_t size = 0; size < whole.size(); size += 61) {
    std::ofstream(path, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(size));
    CHECK_THROWS_AS(load_network(path), Error);
  }
}

TEST_CASE("the Python lines of docs/network-file.md write a network that loads") {
  const std::string python = testing::python_with_h5py();
  if (python.empty()) return;
  const std::string text = bytes_of(testing::source_dir() + "/docs/network-file.md");
  const std::string fence = "```python\n";
  const auto begin = text.find(fence);
  REQUIRE(begin != std::string::npos);
  const auto end = text.find("```", begin + fence.size());
  const TemporaryDirectory directory;
  std::ofstream(directory.file("write.py")) << text.substr(begin + fence.size(), end - begin - fence.size());
  REQUIRE(std::system(("cd '" + directory.path() + "' && " + python + " write.py").c_str()) == 0);
  const Network network = load_network(directory.file("net.h5"));
  CHECK(network.summary() == "784-16-10, relu, no biases");
  CHECK(network.scaling() == InputScaling{});
}
