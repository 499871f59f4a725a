#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <catch2/catch.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>
#include <support/python.hpp>

#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/onnx.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

void run_python(const std::string& python, const std::string& script, const std::string& arguments,
                const TemporaryDirectory& directory) {
  std::ofstream(directory.file("script.py")) << script;
  const std::string command = python + " '" + directory.file("script.py") + "' " + arguments + " >'" +
                              directory.file("log") + "' 2>&1";
  const bool fine = std::system(command.c_str()) == 0;
  std::ifstream log(directory.file("log"));
  INFO(std::string(std::istreambuf_iterator<char>(log), {}));
  REQUIRE(fine);
}

/// Images and what a script says that they give.
struct Expected {
  Matrix images;
  std::vector<float> logits;
};

Expected read_expected(const std::string& path, const std::string& name, Index images) {
  const auto file = hdf5::File::open(path, hdf5::File::Mode::read);
  const auto x = file.read<float>("/x");
  return {Eigen::Map<const Matrix>(x.data(), images, static_cast<Index>(x.size()) / images),
          file.read<float>("/" + name)};
}

double largest_error(const Network& network, const Expected& expected) {
  const Matrix values = logits(network, network.view(), expected.images);
  REQUIRE(values.size() == static_cast<Index>(expected.logits.size()));
  return static_cast<double>(
      (values.reshaped<Eigen::RowMajor>() - Eigen::Map<const Vector>(expected.logits.data(), values.size()))
          .cwiseAbs()
          .maxCoeff());
}

}  // namespace

TEST_CASE("convolutional models that torch exports give torch's logits") {
  const auto python = python_with("torch, h5py, torch.onnx", "python3-torch, python3-h5py");
  if (python.empty()) return;
  const TemporaryDirectory directory;
  run_python(python, R"(
import sys, h5py, torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(2)
torch.set_num_threads(1)
def settled(net):
    net.train()
    for _ in range(3): net(torch.rand(40, 3, 14, 13))
    return net.eval()
class Block(nn.Module):
    def __init__(self, c, d):
        super().__init__()
        self.a, self.n = nn.Conv2d(c, d, 3, 2, 1, bias=False), nn.BatchNorm2d(d)
        self.b, self.m = nn.Conv2d(d, d, 3, padding=1), nn.BatchNorm2d(d)
        self.d = d - c
    def forward(self, x):
        y = self.m(self.b(F.relu(self.n(self.a(x)))))
        return F.relu(y + F.pad(F.avg_pool2d(x, 1, 2), (0, 0, 0, 0, self.d // 2, self.d - self.d // 2)))
class Res(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.n = nn.Conv2d(3, 5, (3, 2), 1, (1, 0)), nn.BatchNorm2d(5)
        self.block, self.pool, self.out = Block(5, 8), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 4)
    def forward(self, x):
        x = F.leaky_relu(self.n(self.stem(x)), 0.1)
        return self.out(self.pool(self.block(x)).flatten(1))
class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, 2), nn.Conv2d(6, 12, 3, 1, 2, dilation=2, groups=3)
        self.c, self.n = nn.Conv2d(12, 12, 3, 1, 1, groups=12), nn.BatchNorm2d(24)
        self.p, self.q = nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
        self.out = nn.Linear(12 * 2 * 2, 4)
    def forward(self, x):
        x = F.hardswish(self.b(F.relu6(self.a((x - 0.5) / 0.25))))
        x = torch.cat([x, torch.sigmoid(self.c(x)) * 2 - x], 1)
        x = self.q(self.p(self.n(x)[:, 1::2]))
        return F.log_softmax(self.out(x.view(x.size(0), -1)), 1)
class Turned(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Conv2d(3, 4, 5), nn.AvgPool2d(3, 2, 1), nn.Linear(25 * 4, 4)
    def forward(self, x):
        x = self.b(torch.tanh(self.a(x)))
        x = x.permute(0, 2, 3, 1).reshape(x.shape[0], x.shape[2] * x.shape[3] * 4)
        return self.out(torch.clamp(x, -0.5, 0.25)) - 1
x = torch.rand(6, 3, 14, 13)
with h5py.File(sys.argv[1] + '/logits.h5', 'w') as f:
    f['x'] = x.reshape(6, -1).numpy()
    for name, net in (('res', settled(Res())), ('mobile', settled(Mobile())), ('turned', Turned().eval())):
        y = net(x).detach()
        f[name] = y.numpy()
        for opset in (9, 11, 13, 17):
            if name == 'mobile' and opset == 9: continue  # torch has no steps of slices and no ceil_mode there
            for fold in (False, True):
                mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
                torch.onnx.export(net, x[:1], f'{sys.argv[1]}/{name}{opset}{int(fold)}.onnx', opset_version=opset,
                                  do_constant_folding=fold, training=mode, input_names=['x'],
                                  dynamic_axes={'x': {0: 'n'}})
)",
             "'" + directory.path() + "'", directory);
  for (const std::string name : {"res", "mobile", "turned"}) {
    auto expected = read_expected(directory.file("logits.h5"), name, 6);
    for (const std::string opset : {"9", "11", "13", "17"}) {
      for (const std::string folded : {"0", "1"}) {
        const auto path = directory.file(name + opset + folded + ".onnx");
        if (name == "mobile" && opset == "9") continue;
        CAPTURE(name, opset, folded);
        for (const bool keep : {false, true}) {
          const auto made = import_onnx(path, {{}, {}, keep});
          CHECK(made.network.input().dims == std::vector<Index>{3, 14, 13});
          Network network = made.network;
          if (name != "mobile") {
            CHECK(largest_error(network, expected) < 1e-5);
            continue;
          }
          // The softmax is left out: the same up to a constant an image.
          Matrix values = logits(network, network.view(), expected.images);
          for (Index n = 0; n < values.rows(); ++n) {
            const float sum = std::log(values.row(n).array().exp().sum());
            for (Index c = 0; c < values.cols(); ++c)
              CHECK(values(n, c) - sum ==
                    Approx(expected.logits[static_cast<std::size_t>(n * values.cols() + c)]).margin(2e-5));
          }
        }
      }
    }
  }
  const auto kept = run_program({"import", directory.file("res130.onnx"), "--keep-batch-norm", "--mean",
                                 ".1,.2,.3", "--std", "1,2,3", "-o", directory.file("kept.h5")});
  INFO(kept.err);
  REQUIRE(kept.code == 0);
  const Network network = load_network(directory.file("kept.h5"));
  CHECK(network.scaling().mean == std::vector<double>{.1, .2, .3});
  CHECK(network.layers() == 7);
  const auto folded =
      run_program({"import", directory.file("res130.onnx"), "-o", directory.file("folded.h5")});
  REQUIRE(folded.code == 0);
  CHECK(folded.err.find("is folded into the layer before it") != std::string::npos);
  CHECK(load_network(directory.file("folded.h5")).layers() == 4);
}

TEST_CASE("ResNet-20 of an ONNX file gives torch's logits and accuracy") {
  const char* model = std::getenv("TEMBLOR_TEST_RESNET20");
  if (model == nullptr) {
    std::cout << "skipped: TEMBLOR_TEST_RESNET20 names no ResNet-20 for CIFAR-10 (.onnx) here\n";
    return;
  }
  const auto python = python_with("torch, h5py, onnx", "python3-torch, python3-h5py, python3-onnx");
  if (python.empty()) return;
  const TemporaryDirectory directory;
  run_python(python, R"(
import sys, h5py, onnx, torch
import torch.nn.functional as F
from onnx import numpy_helper
torch.manual_seed(3)
graph = onnx.load(sys.argv[1]).graph
values = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
convolutions = iter([n for n in graph.node if n.op_type == 'Conv'])
dense = [n for n in graph.node if n.op_type == 'Gemm'][0]
def conv(x):
    n = next(convolutions)
    stride = [a for a in n.attribute if a.name == 'strides'][0].ints[0]
    return F.conv2d(x, values[n.input[1]], values[n.input[2]], stride, 1)
x = torch.randn(20, 3, 32, 32)
z = F.relu(conv(x))
for block in range(9):
    h = conv(F.relu(conv(z)))
    if h.shape != z.shape:
        z = F.pad(z[:, :, ::2, ::2], (0, 0, 0, 0, z.shape[1] // 2, z.shape[1] // 2))
    z = F.relu(h + z)
with h5py.File(sys.argv[2], 'w') as f:
    f['x'] = x.reshape(20, -1).numpy()
    f['logits'] = F.linear(z.mean((2, 3)), values[dense.input[1]], values[dense.input[2]]).numpy()
)",
             "'" + std::string(model) + "' '" + directory.file("logits.h5") + "'", directory);
  const auto network = import_onnx(model).network;
  CHECK(network.layers() == 20);
  CHECK(largest_error(network, read_expected(directory.file("logits.h5"), "logits", 20)) < 1e-4);
  const auto again = directory.file("again.onnx");
  save_network(network, again);
  CHECK(import_onnx(again).network.id() == network.id());
}
