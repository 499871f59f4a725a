#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/networks.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>
#include <support/python.hpp>

#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/onnx.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("import makes a network of a model, with the scaling asked for") {
  const TemporaryDirectory directory;
  const auto model = directory.file("mlp.onnx");
  const auto output = directory.file("net.h5");
  const auto network = random_network("8-5-3", 3, true);
  save_network(network, model);
  const auto plain = run_program({"import", model, "-o", output});
  INFO(plain.err);
  REQUIRE(plain.code == 0);
  CHECK(plain.out.find("8-5-3") != std::string::npos);
  CHECK(load_network(output).id() == network.id());
  const auto scaled = run_program(
      {"import", model, "--mean", "0.286", "--std", "0.353", "--scale", "0.5", "-o", output, "--json"});
  REQUIRE(scaled.code == 0);
  const auto json = nlohmann::json::parse(scaled.out);
  CHECK(json["mean"] == nlohmann::json{0.286});
  CHECK(load_network(output).scaling().std == std::vector<double>{0.353});
  CHECK(run_program({"import", model, "--mean", "1,2", "-o", output}).code == 2);
  CHECK(run_program({"import", model, "--std", "0", "-o", output}).code == 2);
  CHECK(run_program({"import", model, "--input-shape", "2x2x2x2", "-o", output}).code == 2);
  const auto shape = run_program({"import", model, "--input-shape", "7", "-o", output});
  CHECK(shape.code == 3);
  CHECK(shape.err.find("the input has 7 values") != std::string::npos);
  CHECK(run_program({"import", directory.file("none.onnx"), "-o", output}).code == 3);
  const auto direct = run_program({"inspect", model});
  CHECK(direct.code == 3);
}

TEST_CASE("a broken network is written as a model") {
  const TemporaryDirectory directory;
  const auto network = directory.file("net.h5");
  const auto result = directory.file("out.h5");
  const auto broken = directory.file("broken.onnx");
  save_network(random_network("8-6-3", 3, true), network);
  REQUIRE(run_program({"run", "--network", network, "--dataset", "synthetic:classes=3,features=8,n=30,seed=1",
                       "--attack", "gaussian", "--eps", "0.1", "--trials", "3", "-o", result})
              .code == 0);
  const auto replayed = run_program({"replay", result, "--point", "0", "--trial", "1", "-o", broken});
  INFO(replayed.err);
  REQUIRE(replayed.code == 0);
  REQUIRE(
      run_program({"replay", result, "--point", "0", "--trial", "1", "-o", directory.file("b.h5")}).code ==
      0);
  const auto own = load_network(directory.file("b.h5"));
  const auto again = import_onnx(broken).network;
  for (int m = 0; m < own.layers(); ++m) CHECK(same_bits(own.weights(m), again.weights(m)));
}

TEST_CASE("models that torch exports give torch's logits") {
  const std::string python = python_with("torch, h5py, torch.onnx", "python3-torch, python3-h5py");
  if (python.empty()) return;
  const TemporaryDirectory directory;
  std::ofstream(directory.file("export.py")) << R"(
import sys, h5py, torch
from torch import nn
torch.manual_seed(1)
norm = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3),
                     nn.Linear(32, 16, bias=False), nn.Tanh(), nn.Linear(16, 10), nn.Softmax(1))
norm(torch.rand(50, 1, 28, 28))
norm.eval()
class View(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(784, 20), nn.Linear(20, 10)
    def forward(self, x):
        return torch.log_softmax(self.b(torch.sigmoid(self.a(x.view(x.size(0), -1)))), 1)
view = View().eval()
x = torch.rand(20, 1, 28, 28)
with h5py.File(sys.argv[1] + '/logits.h5', 'w') as f:
    f['x'] = x.reshape(20, 784).numpy()
    f['norm'] = norm[:-1](x).detach().numpy()
    f['view'] = view.b(torch.sigmoid(view.a(x.view(20, -1)))).detach().numpy()
for opset in (9, 11, 13, 16):
    for name, net, fold in (('norm', norm, opset > 11), ('view', view, opset > 9)):
        torch.onnx.export(net, x[:1], f'{sys.argv[1]}/{name}{opset}.onnx', opset_version=opset, do_constant_folding=fold,
                          training=torch.onnx.TrainingMode.EVAL, input_names=['x'], dynamic_axes={'x': {0: 'n'}})
)";
  REQUIRE(std::system(
              (python + " '" + directory.file("export.py") + "' '" + directory.path() + "' >/dev/null 2>&1")
                  .c_str()) == 0);
  const auto file = hdf5::File::open(directory.file("logits.h5"), hdf5::File::Mode::read);
  const auto x = file.read<float>("/x");
  const Matrix images = Eigen::Map<const Matrix>(x.data(), 20, 784);
  for (const std::string name : {"norm", "view"}) {
    const auto expected = file.read<float>("/" + name);
    for (const std::string opset : {"9", "11", "13", "16"}) {
      CAPTURE(name, opset);
      const auto network = import_onnx(directory.file(name + opset + ".onnx")).network;
      const Matrix values = logits(network, network.view(), images);
      for (Index i = 0; i < values.size(); ++i)
        REQUIRE(values.data()[i] == Approx(expected[static_cast<std::size_t>(i)]).epsilon(1e-5).margin(2e-6));
    }
  }
}
