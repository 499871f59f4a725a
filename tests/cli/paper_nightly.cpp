#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/hdf5/file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

std::string python_with_matplotlib() {
  for (const std::string python : {"python3", "/usr/bin/python3"}) {
    if (std::system((python + " -c 'import h5py, numpy, matplotlib' >/dev/null 2>&1").c_str()) == 0)
      return python;
  }
  std::cout << "skipped: no Python with h5py and matplotlib here (python3-h5py, python3-matplotlib)\n";
  return "";
}

double area(const std::string& path) {
  const auto file = hdf5::File::open(path, hdf5::File::Mode::read);
  const auto eps = file.read<double>("/gap/eps");
  const auto error = file.read<double>("/gap/test_error");
  double sum = 0;
  for (std::size_t i = 1; i < eps.size(); ++i)
    sum += (2 - error[i] - error[i - 1]) / 2 * (eps[i] - eps[i - 1]);
  return sum / eps.back();
}

}  // namespace

TEST_CASE("the paper's tables: areas, claims and violations from small networks") {
  const std::string python = python_with_matplotlib();
  if (python.empty()) return;
  const TemporaryDirectory directory;
  const std::string data = "synthetic:classes=3,features=8,n=300,seed=1,noise=0.6";
  double sum = 0;
  for (const std::string lambda : {"0", "0.01"}) {
    for (const std::string mu : {"0", "0.001"}) {
      for (const std::string seed : {"1", "2"}) {
        const std::string folder =
            directory.path() + "/out/blobs/lambda" + lambda + "-mu" + mu + "-seed" + seed;
        std::filesystem::create_directories(folder);
        const std::string net = folder + "/net.h5";
        REQUIRE(run_program({"train",     "--dataset",     data,     "--arch", "8-12-6-3",
                             "--no-bias", "--epochs",      "5",      "--seed", seed,
                             "--loss",    "margin-robust", "--form", "bound",  "--lambda",
                             lambda,      "--mu",          mu,       "-o",     net})
                    .code == 0);
        REQUIRE(run_program({"generalize", "-n", net, "-d", data, "--images", "0", "--draws", "0",
                             "--noise-draws", "0", "--steps", "5", "--eps", "0.05,0.1,0.2", "-o",
                             folder + "/gap.h5"})
                    .code == 0);
        REQUIRE(run_program({"run", source_dir() + "/results/paper/bounds.toml", "--network", net,
                             "--dataset", data, "--select", "all", "-o", folder + "/bounds.h5"})
                    .code == 0);
        if (lambda == "0.01" && mu == "0.001") sum += area(folder + "/gap.h5");
      }
    }
  }
  const std::string out = directory.path() + "/out";
  REQUIRE(std::system((python + " '" + source_dir() + "/results/paper/tables.py' '" + out + "' >'" +
                       directory.file("words") + "' 2>&1")
                          .c_str()) == 0);
  std::ifstream in(out + "/summary.json");
  const auto summary = nlohmann::json::parse(in);
  CHECK(summary["networks"] == 8);
  CHECK(summary["violations"] == 0);
  CHECK(summary["claims"].size() > 5);
  for (const auto& claim : summary["claims"]) {
    CHECK(double(claim["t95_lower"]) <= double(claim["difference"]));
    CHECK(double(claim["t95_upper"]) >= double(claim["difference"]));
  }
  for (const auto* name : {"robust_accuracy", "gap", "area", "bounds", "ranking"})
    CHECK(std::filesystem::file_size(out + "/" + name + ".svg") > 1000);
  std::ifstream csv(out + "/area.csv");
  std::string line, last;
  while (std::getline(csv, line)) last = line;
  std::istringstream cells(last);
  std::vector<std::string> words;
  for (std::string word; std::getline(cells, word, ',');) words.push_back(word);
  REQUIRE(words.size() == 9);  // the last of ten is empty
  CHECK(words[1] == "0.01");
  CHECK(words[2] == "0.001");
  CHECK(sum / 2 < 0.999);  // these attacks do break something
  CHECK(std::stod(words[4]) == Approx(sum / 2).epsilon(1e-5));
}
