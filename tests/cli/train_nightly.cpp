#include <catch2/catch.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/data/dataset.hpp>
#include <temblor/network/file.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;
using temblor::testing::TemporaryDirectory;

TEST_CASE("train: LeNet-5 on Fashion-MNIST beyond 84 % in one epoch") {
  const TemporaryDirectory directory;
  const auto run = testing::run_line("train --dataset fashion-mnist --arch lenet5 --epochs 1 -o " +
                                     directory.file("net.h5"));
  if (run.code == 3 && run.err.find("is not there") != std::string::npos) {
    WARN("Fashion-MNIST is not installed: skipped");
    return;
  }
  REQUIRE(run.code == 0);
  const Network network = load_network(directory.file("net.h5"));
  CHECK(network.weight_count() + network.bias_count() == 61706);
  const Dataset test = load_dataset({"fashion-mnist", Split::test, "", "all"}, network.scaling());
  CHECK(count_correct(network, test) > 8400);
}
