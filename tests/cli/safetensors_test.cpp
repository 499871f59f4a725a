#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/networks.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/network/file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// All parameters of a network under `names`, one a layer with weights.
void write_weights(const Network& network, const std::vector<std::string>& names, const std::string& path) {
  nlohmann::ordered_json header;
  std::string data;
  const auto add = [&](const std::string& name, const std::vector<Index>& shape, const float* values) {
    const auto begin = data.size();
    std::size_t count = 1;
    for (const Index size : shape) count *= static_cast<std::size_t>(size);
    data.append(reinterpret_cast<const char*>(values), count * sizeof(float));
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  };
  for (int layer = 0; layer < network.layers(); ++layer) {
    const Weights& weights = network.weights(layer);
    const std::string& name = names[static_cast<std::size_t>(layer)];
    add(name + ".weight", {weights.weight.rows(), weights.weight.cols()}, weights.weight.data());
    if (weights.bias.size() != 0) add(name + ".bias", {weights.bias.size()}, weights.bias.data());
  }
  const std::string text = header.dump();
  const std::uint64_t length = text.size();
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof length) << text << data;
}

}  // namespace

TEST_CASE("import puts the weights of a safetensors file into a network") {
  const TemporaryDirectory directory;
  const auto into = directory.file("net.h5");
  const auto output = directory.file("new.h5");
  const auto weights = directory.file("w.safetensors");
  const auto trained = random_network("8-5-3", 3, true);
  save_network(random_network("8-5-3", 4, true), into);
  write_weights(trained, {"fc1", "fc2"}, weights);
  const std::string first = trained.layer_name(0);
  const std::string second = trained.layer_name(1);
  const auto missing = run_program({"import", weights, "--into", into, "-o", output});
  CHECK(missing.code == 3);
  CHECK(missing.err.find("has no tensor '" + first + ".weight'") != std::string::npos);
  const auto run = run_program({"import", weights, "--into", into, "--rename", "fc1=" + first, "--rename",
                                "fc2=" + second, "-o", output});
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(load_network(output).id() == trained.id());
  // A name that says nothing: told by its contents.
  const auto plain = directory.file("weights.bin");
  write_weights(trained, {first, second}, plain);
  CHECK(run_program({"import", plain, "--into", into, "-o", output}).code == 0);
  CHECK(load_network(output).id() == trained.id());
  CHECK(run_program({"import", plain, "-o", output}).code == 2);
  CHECK(run_program({"import", plain, "--into", into, "--mean", "1", "-o", output}).code == 2);
  CHECK(run_program({"import", plain, "--into", into, "--rename", "fc1", "-o", output}).code == 2);
  CHECK(run_program({"import", plain, "--into", plain, "-o", output}).code == 3);
  const auto none = run_program({"import", into, "--into", into, "-o", output});
  CHECK(none.code == 2);
  CHECK(none.err.find("is no safetensors file") != std::string::npos);
}
