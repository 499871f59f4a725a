#include <cstdlib>
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

TEST_CASE("weights that torch trained go into the network that torch exported") {
  const std::string python = python_with("torch, h5py, torch.onnx", "python3-torch, python3-h5py");
  if (python.empty()) return;
  const TemporaryDirectory directory;
  std::ofstream(directory.file("make.py")) << R"(
import json, struct, sys, h5py, torch
from torch import nn
torch.manual_seed(2)
class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(n, n, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(n)
    def forward(self, x): return torch.relu(x + self.bn(self.conv(x)))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.bn1 = nn.Conv2d(3, 4, (3, 2), stride=2), nn.BatchNorm2d(4)
        self.body = nn.Sequential(Block(4), Block(4))
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3)
    def forward(self, x):
        return self.fc(torch.flatten(self.pool(self.body(torch.relu(self.bn1(self.stem(x))))), 1))
first, second = Net().eval(), Net()
for _ in range(3): second(torch.randn(50, 3, 9, 8) * 2 + 1)
second.eval()
folder, x = sys.argv[1], torch.randn(6, 3, 9, 8)
torch.onnx.export(first, x[:1], folder + '/first.onnx', opset_version=13, training=torch.onnx.TrainingMode.PRESERVE,
                  do_constant_folding=False, input_names=['x'], dynamic_axes={'x': {0: 'n'}})
header, data = {}, b''
for name, t in second.state_dict().items():
    raw = t.numpy().tobytes()
    header[name] = {'dtype': 'I64' if t.dtype == torch.int64 else 'F32', 'shape': list(t.shape),
                    'data_offsets': [len(data), len(data) + len(raw)]}
    data += raw
text = json.dumps(header).encode()
open(folder + '/second.safetensors', 'wb').write(struct.pack('<Q', len(text)) + text + data)
with h5py.File(folder + '/logits.h5', 'w') as f:
    f['x'], f['y'] = x.reshape(6, -1).numpy(), second(x).detach().numpy()
)";
  REQUIRE(
      std::system((python + " '" + directory.file("make.py") + "' '" + directory.path() + "' >/dev/null 2>&1")
                      .c_str()) == 0);
  const auto architecture = directory.file("first.h5");
  const auto output = directory.file("second.h5");
  const auto model =
      run_program({"import", directory.file("first.onnx"), "--keep-batch-norm", "-o", architecture});
  INFO(model.err);
  REQUIRE(model.code == 0);
  const auto run =
      run_program({"import", directory.file("second.safetensors"), "--into", architecture, "-o", output});
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(run.err.find("running_mean and running_var of 'body.1.bn' are folded") != std::string::npos);
  const auto network = load_network(output);
  const auto file = hdf5::File::open(directory.file("logits.h5"), hdf5::File::Mode::read);
  const auto x = file.read<float>("x");
  const auto expected = file.read<float>("y");
  const Matrix values = logits(network, network.view(), Eigen::Map<const Matrix>(x.data(), 6, 3 * 9 * 8));
  for (Index i = 0; i < values.size(); ++i) {
    CHECK(values.data()[i] == Approx(expected[static_cast<std::size_t>(i)]).epsilon(1e-5).margin(2e-6));
  }
}
