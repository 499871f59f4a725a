#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <support/paths.hpp>
#include <support/program.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include <temblor/data/dataset.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;
using temblor::testing::TemporaryDirectory;

namespace {

const std::string blobs = "synthetic:classes=5,features=12,n=1000,seed=3";

auto train(const std::string& line) {
  return testing::run_line("train " + line);
}

std::string small(const TemporaryDirectory& directory, const std::string& rest, int epochs = 3) {
  return "--dataset " + blobs + " --arch 12-16-5 --epochs " + std::to_string(epochs) + " -o " +
         directory.file("net.h5") + " " + rest;
}

std::string bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::size_t files_in(const std::string& directory) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++count;
  return count;
}

}  // namespace

TEST_CASE("train: the network that is written classifies the test images as the summary says") {
  const TemporaryDirectory directory;
  const auto run = train(small(directory, "--lr 0.01", 15));
  INFO(run.err);
  REQUIRE(run.code == 0);
  const Network network = load_network(directory.file("net.h5"));
  CHECK(network.summary() == "12-16-5, relu, biases");
  const Dataset test = load_dataset({blobs, Split::test, "", "all"}, network.scaling());
  const auto correct = count_correct(network, test);
  CHECK(correct > 950);
  CHECK(run.out.find("(" + std::to_string(correct) + " of 1000; 95 % Wilson interval ") != std::string::npos);
  CHECK(run.out.starts_with(directory.file("net.h5") + ": 12-16-5, relu, biases; test accuracy "));
  CHECK(run.err.find("epoch 15/15: loss ") != std::string::npos);
  CHECK(run.err.find('\r') == std::string::npos);
  const auto file = hdf5::File::open(directory.file("net.h5"), hdf5::File::Mode::read);
  CHECK(file.group("provenance").text("optimizer") ==
        "adam beta1=0.9 beta2=0.999 epsilon=1e-08 weight-decay=0");
  CHECK(file.group("provenance").text("epochs") == "15");
  CHECK(files_in(directory.path()) == 1);
}

TEST_CASE("train: same command, same bytes; another seed, others") {
  const TemporaryDirectory directory;
  std::string first;
  for (const std::string rest : {"--threads 1", "--threads 2", "--threads 5", "--threads 2"}) {
    REQUIRE(train(small(directory, rest)).code == 0);
    const std::string now = bytes(directory.file("net.h5"));
    if (first.empty()) first = now;
    CHECK(now == first);
  }
  REQUIRE(train(small(directory, "--seed 2")).code == 0);
  CHECK(bytes(directory.file("net.h5")) != first);
}

TEST_CASE("train: every choice of activation, optimiser, schedule, loss, biases and scaling runs") {
  const TemporaryDirectory directory;
  for (const std::string rest :
       {"--activation sigmoid", "--activation tanh --optimizer sgd --momentum 0.5 --weight-decay 1e-4",
        "--schedule step --step-every 2 --step-factor 0.5", "--schedule constant --beta1 0.8 --epsilon 1e-6",
        "--loss cross-entropy --no-bias",
        "--loss certified --eps 0.01 --bound linear --ramp-start 0.5 --kappa 0.2", "--loss sam --rho 0.1",
        "--loss awp --gamma 0.01 --steps 2 --no-bias", "--loss randbet --format int4 --clip-weights 0.5",
        "--loss margin-robust --bound interval --set lambda=0.1 --set mu=1e-4 --no-bias",
        "--scale 1 --mean 128 --std 40", "--select first:200 --batch 7"}) {
    INFO(rest);
    const auto run = train(small(directory, rest));
    INFO(run.err);
    CHECK(run.code == 0);
  }
  CHECK(load_network(directory.file("net.h5")).bias_count() == 21);
  REQUIRE(train(small(directory, "--no-bias --scale 1 --mean 128 --std 40")).code == 0);
  const Network network = load_network(directory.file("net.h5"));
  CHECK(network.bias_count() == 0);
  CHECK(network.scaling() == InputScaling{1, {128}, {40}});
}

TEST_CASE("train: convolutional networks, saved and evaluated, the same bytes with any number of threads") {
  const TemporaryDirectory directory;
  const std::string pictures = "synthetic:shape=1x12x12,classes=3,n=200,seed=3";
  const std::string base =
      "--dataset " + pictures + " --epochs 4 --batch 32 --lr 0.01 -o " + directory.file("net.h5");
  for (const std::string arch : {"lenet5", "resnet8"}) {
    INFO(arch);
    std::string first;
    for (const std::string threads : {"1", "3"}) {
      const auto run = train(base + " --arch " + arch + " --threads " + threads);
      INFO(run.err);
      REQUIRE(run.code == 0);
      const std::string now = bytes(directory.file("net.h5"));
      if (first.empty()) first = now;
      CHECK(now == first);
    }
    const Network network = load_network(directory.file("net.h5"));
    const Dataset test = load_dataset({pictures, Split::test, "", "all"}, network.scaling());
    const auto correct = count_correct(network, test);
    CHECK(correct > 150);
    const auto eval =
        testing::run_line("eval --network " + directory.file("net.h5") + " --dataset " + pictures);
    CHECK(eval.code == 0);
    CHECK_THAT(eval.out, Catch::Contains(std::to_string(correct)));
    for (const auto& node : network.nodes()) CHECK_NOTHROW(find_layer(node.layer->kind()));
    const auto file = hdf5::File::open(directory.file("net.h5"), hdf5::File::Mode::read);
    CHECK(file.group("provenance").text("batch_norm") ==
          (arch == "resnet8" ? "while training, folded" : "no"));
  }
  const std::string one = "--dataset " + pictures + " --epochs 1 -o " + directory.file("net.h5");
  for (const std::string rest :
       {" --arch resnet8 --batch-norm off --no-bias", " --arch resnet8 --batch-norm off --clip-weights 0.1",
        " --arch lenet5 --loss randbet --clip-weights 0.3", " --arch lenet5 --batch-norm on",
        " --arch lenet5 --activation tanh --loss awp"}) {
    const auto run = train(one + rest);
    INFO(rest << "\n" << run.err);
    CHECK(run.code == 0);
  }
  const std::vector<std::pair<std::string, std::string>> refused = {
      {" --arch resnet8 --no-bias", "--batch-norm off"},
      {" --arch resnet8 --clip-weights 0.1", "--batch-norm off"},
      {" --arch resnet8 --loss randbet", "--batch-norm off"},
      {" --arch lenet5 --loss certified --bound linear", "bound=interval works on this network"},
      {" --arch lenet", "did you mean 'lenet5'"},
      {" --arch lenet5 --batch-norm offf", "did you mean 'off'"},
      {" --arch 144-8-3 --batch-norm on", "no convolution"}};
  for (const auto& [rest, hint] : refused) {
    const auto run = train(one + rest);
    INFO(rest);
    CHECK(run.code == 2);
    CHECK_THAT(run.err, Catch::Contains(hint));
  }
}

TEST_CASE("train: bad options are refused before any work, naming the option") {
  const TemporaryDirectory directory;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--batch -3", "--batch"},
      {"--seed x", "--seed"},
      {"--lr 0", "--lr"},
      {"--lr nan", "--lr"},
      {"--threads 0", "--threads"},
      {"--optimizer adamw", "did you mean 'adam'"},
      {"--schedule cosin", "did you mean 'cosine'"},
      {"--loss entropy", "cross-entropy"},
      {"--activation rellu", "did you mean 'relu'"},
      {"--activation flatten", "flatten"},
      {"--momentum 0.5", "momentum"},
      {"--optimizer sgd --beta1 0.5", "beta1"},
      {"--step-every 2", "step-every"},
      {"--optimizer sgd --momentum 1", "momentum"},
      {"--weight-decay -1", "weight-decay"},
      {"--std 0", "--std"},
      {"--scale 0", "--scale"},
      {"--select first:0", "first:0"},
      {"--leaning-rate 1", "leaning-rate"},
      {"--eps 0.1", "unknown parameter of loss 'cross-entropy'"},
      {"--loss margin-robust --form hing", "did you mean 'hinge'"},
      {"--loss margin-robust --bound exact", "norm-product"},
      {"--loss margin-robust --eps -1", "eps"},
      {"--loss margin-robust --set lamda=1", "did you mean 'lambda'"},
      {"--loss margin-robust --set lambda=1 --lambda 1", "given as well"},
      {"--loss margin-robust --set lambda", "name=value"},
      {"--loss randbet --format fp16", "no finite number"},
      {"--loss randbet --ber 2", "ber"},
      {"--loss certified --kappa 2", "kappa"},
      {"--loss certified --bound norm-product", "interval"},
      {"--loss awp --steps 0", "steps"},
      {"--clip-weights 0", "--clip-weights"},
      {"--loss margin-robust --activation tanh", "may be negative"},
  };
  for (const auto& [rest, hint] : cases) {
    INFO(rest);
    const auto run = train(small(directory, rest));
    CHECK(run.code == 2);
    CHECK(run.out.empty());
    CHECK_THAT(run.err, Catch::Contains(hint));
    CHECK(files_in(directory.path()) == 0);
  }
  CHECK(train(small(directory, "", 0)).code == 2);
  CHECK_THAT(train(small(directory, "--mean 1,2,3,4,5")).err, Catch::Contains("mean"));
  const std::string rest = " --epochs 1 -o " + directory.file("net.h5");
  CHECK(train("--dataset " + blobs + " --arch 11-5" + rest).code != 0);
  CHECK(train("--dataset " + blobs + " --arch 12-4" + rest).code != 0);
  CHECK(train("--dataset " + blobs + " --arch 12" + rest).code == 2);
  CHECK(train("--dataset fashion-mist --arch 784-10" + rest).err.find("fashion-mnist") != std::string::npos);
  CHECK(train("--dataset " + blobs + rest).err.find("--arch") != std::string::npos);
}

TEST_CASE("train: divergence and bad output paths") {
  const TemporaryDirectory directory;
  const auto diverged = train(small(directory, "--optimizer sgd --lr 1e12"));
  CHECK(diverged.code == 2);
  CHECK_THAT(diverged.err, Catch::Contains("diverged") && Catch::Contains("lower --lr"));
  CHECK(files_in(directory.path()) == 0);

  const std::string base = "--dataset " + blobs + " --arch 12-5 --epochs 100000 -o ";
  const auto missing = train(base + directory.file("no/net.h5"));
  CHECK(missing.code == 3);
  CHECK_THAT(missing.err, Catch::Contains("does not exist"));
  CHECK(train(base + directory.path()).code == 3);
  std::ofstream(directory.file("notes.txt")) << "precious";
  const auto other = train(base + directory.file("notes.txt"));
  CHECK(other.code == 3);
  CHECK_THAT(other.err, Catch::Contains("not a temblor-network"));
  CHECK(bytes(directory.file("notes.txt")) == "precious");
}

TEST_CASE("train: a file without splits is not called a test") {
  const TemporaryDirectory directory;
  std::ofstream csv(directory.file("points.csv"));
  csv << "label,x,y\n";
  for (int i = 0; i < 200; ++i)
    csv << i % 2 << "," << (i % 2 == 0 ? 20 : 200) + i % 7 << "," << i % 11 << "\n";
  csv.close();
  const auto run = train("--dataset " + directory.file("points.csv") +
                         " --select first:150 --arch 2-4-2 -o " + directory.file("net.h5"));
  INFO(run.err);
  CHECK(run.code == 0);
  CHECK_THAT(run.out, Catch::Contains("; accuracy on all images of the file"));
  CHECK(run.err.find("test accuracy") == std::string::npos);
}

TEST_CASE("train: an interrupt stops after the batch, writes nothing and ends with 130") {
  const TemporaryDirectory directory;
  const std::string output = directory.file("net.h5");
  const std::string words_file = directory.file("err");
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int file = ::open(words_file.c_str(), O_CREAT | O_WRONLY, 0600);
    ::dup2(file, 2);
    ::execl(testing::binary().c_str(), "temblor", "train", "--dataset", blobs.c_str(), "--arch", "12-16-5",
            "--epochs", "1000000", "-o", output.c_str(), nullptr);
    ::_exit(99);
  }
  // The first line of progress says that training runs.
  for (int wait = 0; wait < 2000 && bytes(words_file).empty(); ++wait) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ::kill(child, SIGINT);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 130);
  CHECK_THAT(bytes(words_file), Catch::Contains("epoch 1/1000000") && Catch::Contains("interrupted"));
  CHECK(files_in(directory.path()) == 1);
}

TEST_CASE("train: Fashion-MNIST beyond 83 % in one epoch") {
  const TemporaryDirectory directory;
  const auto run =
      train("--dataset fashion-mnist --arch 784-128-64-32-10 --epochs 1 -o " + directory.file("net.h5"));
  if (run.code == 3 && run.err.find("is not there") != std::string::npos) {
    WARN("Fashion-MNIST is not installed: skipped");
    return;
  }
  REQUIRE(run.code == 0);
  const Network network = load_network(directory.file("net.h5"));
  const Dataset test = load_dataset({"fashion-mnist", Split::test, "", "all"}, network.scaling());
  CHECK(count_correct(network, test) > 8300);
}
