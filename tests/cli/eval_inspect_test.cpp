#include <array>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>

#include <temblor/cli/subcommand.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>

using namespace temblor;
using Catch::Contains;
using nlohmann::json;
using temblor::testing::TemporaryDirectory;

namespace {

struct Result {
  int code;
  std::string out;
  std::string err;
};

Result run(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = cli::run(words, {out, err});
  return {code, out.str(), err.str()};
}

/// Logits are the two values of the image: class 0 wins when the first is larger.
Network identity() {
  Network network({{2}}, {1.0, {0.0}, {1.0}});
  network.add(make_layer("dense"), {Matrix::Identity(2, 2), Vector::Zero(2)}, {}, "out");
  return network;
}

}  // namespace

TEST_CASE("eval counts right predictions, margins and classes") {
  const TemporaryDirectory directory;
  const auto net = directory.file("net.h5");
  const auto data = directory.file("points.csv");
  save_network(identity(), net);
  std::ofstream(data) << "0,3,1\n0,1,2\n1,0,4\n1,1,1\n";  // margins 2, -1, 4, 0; a tie goes to class 0
  const auto result = run({"eval", "--network", net, "--dataset", data, "--json"});
  REQUIRE(result.code == 0);
  const json report = json::parse(result.out);
  CHECK(report["images"] == 4);
  CHECK(report["correct"] == 2);
  CHECK(report["accuracy"] == 0.5);
  CHECK(report["no_prediction"] == 0);
  CHECK(report["accuracy_interval"]["lower"].get<double>() == Approx(0.1500).margin(5e-5));
  CHECK(report["accuracy_interval"]["upper"].get<double>() == Approx(0.8500).margin(5e-5));
  CHECK(report["classes"][0]["correct"] == 1);
  CHECK(report["classes"][1]["correct"] == 1);
  CHECK(report["margins"][0]["margin"] == -1);
  CHECK(report["margins"][3]["margin"] == 1);  // the median
  CHECK(report["margins"][6]["margin"] == 4);
  const auto text = run({"eval", "--network", net, "--dataset", data, "--select", "first:1"});
  CHECK_THAT(text.out, Contains("accuracy       100 % (1 of 1)"));
}

TEST_CASE("eval: an image with an overflowing logit has no prediction") {
  const TemporaryDirectory directory;
  const auto net = directory.file("net.h5");
  const auto data = directory.file("points.csv");
  Network network({{2}}, {1.0, {0.0}, {1.0}});
  network.add(make_layer("dense"), {Matrix::Identity(2, 2) * 1e30F, {}});
  save_network(network, net);
  std::ofstream(data) << "0,1,0\n1,0,1e30\n";
  const json report = json::parse(run({"eval", "--network", net, "--dataset", data, "--json"}).out);
  CHECK(report["no_prediction"] == 1);
  CHECK(report["correct"] == 1);
}

TEST_CASE("eval refuses what does not belong together or is not there") {
  const TemporaryDirectory directory;
  const auto net = directory.file("net.h5");
  save_network(identity(), net);
  const auto misfit = run({"eval", "--network", net, "--dataset", "synthetic:features=3"});
  CHECK(misfit.code == 3);
  CHECK_THAT(misfit.err, Contains(net) && Contains("synthetic:features=3"));
  CHECK(misfit.out.empty());
  CHECK(run({"eval", "--network", directory.file("none.h5"), "--dataset", "synthetic"}).code == 3);
  CHECK(run({"eval", "--dataset", "synthetic"}).code == 2);
  CHECK(run({"eval", "--network", net, "--dataset", "synthetic:features=2,classes=2", "--split", "trian"})
            .code == 2);
  CHECK(run({"eval", "--network", net, "--dataset", "synthetic:features=2,classes=2", "--select", "first:0"})
            .code == 2);
}

TEST_CASE("inspect shows networks, HDF5 files and data") {
  const TemporaryDirectory directory;
  const auto net = directory.file("net.h5");
  save_network(identity(), net);
  const json network = json::parse(run({"inspect", net, "--json"}).out);
  CHECK(network["kind"] == "network");
  CHECK(network["id"] == identity().id());
  CHECK(network["weights"] == 4);
  CHECK(network["layers"][0]["name"] == "out");
  CHECK(network["layers"][0]["weight"] == json({2, 2}));
  CHECK(network["layers"][0]["largest_weight"] == 1);
  CHECK_THAT(run({"inspect", net}).out, Contains("2 x 2") && Contains("4 weights, 2 biases"));

  const auto other = directory.file("other.h5");
  {
    const hdf5::File file = hdf5::File::create(other);
    hdf5::stamp(file, "temblor-result", 1, 0);
    file.set_text("title", "a title");
    file.write<double>("points/severity", std::array{1.0, 2.0}, {2});
    file.set_text("unit", "volt", "points/severity");
    file.close();
  }
  const json tree = json::parse(run({"inspect", other, "--json"}).out);
  CHECK(tree["kind"] == "temblor-result");
  CHECK(tree["attributes"]["title"] == "a title");
  CHECK(tree["attributes"]["schema_version"] == "1, 0");
  REQUIRE(tree["datasets"].size() == 1);
  CHECK(tree["datasets"][0] ==
        json({{"path", "/points/severity"}, {"type", "float64"}, {"dims", {2}}, {"unit", "volt"}}));

  const json data = json::parse(run({"inspect", "synthetic:n=10,classes=3,features=4", "--json"}).out);
  CHECK(data["kind"] == "synthetic");
  CHECK(data["images"] == 10);
  CHECK(data["labels"] == json({4, 3, 3}));
  CHECK(data["shape"] == json(std::vector<int>{4}));
}

TEST_CASE("inspect --digest is equal for equal results only") {
  const TemporaryDirectory directory;
  const auto write = [&](const std::string& name, double value, const std::string& host) {
    const hdf5::File file = hdf5::File::create(directory.file(name));
    file.write<double>("drops", std::array{value}, {1});
    file.create_group("provenance").set_text("host", host);
    file.close();
    const auto result = run({"inspect", directory.file(name), "--digest"});
    CHECK(result.code == 0);
    return result.out;
  };
  const auto digest = write("a.h5", 1, "here");
  CHECK(digest.size() == 65);
  CHECK(write("b.h5", 1, "there") == digest);
  CHECK(write("c.h5", 2, "here") != digest);
  std::ofstream(directory.file("text.csv")) << "0,1\n";
  CHECK(run({"inspect", directory.file("text.csv"), "--digest"}).code == 3);
}

TEST_CASE("inspect refuses what it does not know") {
  const TemporaryDirectory directory;
  CHECK(run({"inspect", directory.file("none.h5")}).code == 3);
  CHECK(run({"inspect", "fashion-minst"}).code == 2);
  std::ofstream(directory.file("notes.txt")) << "hello";
  const auto result = run({"inspect", directory.file("notes.txt")});
  CHECK(result.code == 3);
  CHECK_THAT(result.err, Contains("notes.txt"));
}
