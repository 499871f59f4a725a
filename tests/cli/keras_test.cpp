#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include <catch2/catch.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>
#include <support/python.hpp>

#include <temblor/base/error.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/keras.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// Runs Python lines after those that make keras_models known; false when there is no Python for it.
bool python(const TemporaryDirectory& directory, const std::string& lines) {
  const std::string program = python_with_h5py();
  if (program.empty()) return false;
  const auto script = directory.file("script.py");
  std::ofstream(script) << "import sys\nsys.path.insert(0, '" << source_dir() << "/tests/support')\n"
                        << "sys.dont_write_bytecode = True\nfolder = '" << directory.path() << "'\n"
                        << "from keras_models import *\n"
                        << lines;
  REQUIRE(std::system((program + " '" + script + "'").c_str()) == 0);
  return true;
}

/// Raw images, scaled as the network says.
Matrix inputs_of(const Network& network, const std::vector<double>& raw, Index count) {
  const InputScaling& scaling = network.scaling();
  const Index values = static_cast<Index>(raw.size()) / count;
  const auto at = [&](const std::vector<double>& list, Index i) {
    return list[list.size() == 1 ? 0 : static_cast<std::size_t>(i * std::ssize(list) / values)];
  };
  Matrix images(count, values);
  for (Index n = 0; n < count; ++n) {
    for (Index i = 0; i < values; ++i) {
      const double value = raw[static_cast<std::size_t>(n * values + i)] * scaling.scale;
      images(n, i) = static_cast<float>((value - at(scaling.mean, i)) / at(scaling.std, i));
    }
  }
  return images;
}

std::string problem_of(const std::string& path, const KerasOptions& options = {}) {
  try {
    import_keras(path, options);
  } catch (const Error& error) {
    CHECK(error.code() == Exit::bad_input);
    return error.what();
  }
  return "loaded";
}

bool contains(const std::vector<std::string>& notes, const std::string& text) {
  for (const auto& note : notes) {
    if (note.find(text) != std::string::npos) return true;
  }
  return false;
}

/// Where the models have no Rescaling: images as they are.
KerasOptions as_they_are() {
  KerasOptions options;
  options.scaling = InputScaling{1, {0}, {1}};
  return options;
}

}  // namespace

TEST_CASE("Keras models give the logits of their layers") {
  const TemporaryDirectory directory;
  if (!python(directory, "main(folder)")) return;
  const auto file = hdf5::File::open(directory.file("logits.h5"), hdf5::File::Mode::read);
  for (const std::string name : {"mlp", "conv", "graph2", "graph3", "shapes", "first", "open_end"}) {
    CAPTURE(name);
    const bool scales = name == "conv" || name == "graph2" || name == "graph3";
    const auto [network, notes] =
        import_keras(directory.file(name + ".h5"), scales ? KerasOptions{} : as_they_are());
    const auto expected = file.read<double>(name + "/y");
    const auto count = static_cast<Index>(file.dims(name + "/y")[0]);
    const Matrix images = inputs_of(network, file.read<double>(name + "/x"), count);
    const Matrix values = logits(network, network.view(), images);
    REQUIRE(static_cast<std::size_t>(values.size()) == expected.size());
    for (Index i = 0; i < values.size(); ++i) {
      REQUIRE(values.data()[i] == Approx(expected[static_cast<std::size_t>(i)]).epsilon(1e-5).margin(1e-5));
    }
    // What is imported is stored and read again as it is.
    save_network(network, directory.file("net.h5"));
    CHECK(load_network(directory.file("net.h5")).id() == network.id());
  }
}

TEST_CASE("Keras: what is folded, scaled and left out is said") {
  const TemporaryDirectory directory;
  if (!python(directory, "main(folder)")) return;
  const auto conv = import_keras(directory.file("conv.h5"));
  CHECK(conv.network.scaling() == InputScaling{0.5, {1}, {1}});
  CHECK(conv.network.input().dims == std::vector<Index>{3, 11, 10});
  CHECK(contains(conv.notes, "'rescaling' (Rescaling) is the input scaling"));
  CHECK(contains(conv.notes, "'bn2' (BatchNormalization) is folded into 'dw'"));
  CHECK_FALSE(contains(conv.notes, "'bn1'"));
  CHECK(contains(conv.notes, "the softmax is left out"));
  std::vector<std::string> kinds;
  for (const auto& node : conv.network.nodes()) kinds.emplace_back(node.layer->kind());
  CHECK(kinds == std::vector<std::string>{"conv2d",  "relu",       "scale",        "pad",     "conv2d",
                                          "clip",    "max-pool",   "conv2d",       "conv2d",  "leaky-relu",
                                          "conv2d",  "leaky-relu", "average-pool", "scale",   "slice",
                                          "flatten", "scale",      "dense",        "sigmoid", "dense"});
  const auto other = import_keras(directory.file("conv.h5"), as_they_are());
  CHECK(other.network.scaling() == InputScaling{1, {0}, {1}});
  CHECK(contains(other.notes, "'rescaling' (Rescaling) is left out"));
  KerasOptions keep;
  keep.keep_batch_norm = true;
  const auto kept = import_keras(directory.file("conv.h5"), keep);
  CHECK_FALSE(contains(kept.notes, "is folded"));
  CHECK(kept.network.layers() == conv.network.layers() + 1);
  const Matrix images = Matrix::Random(4, 3 * 11 * 10);
  CHECK(logits(kept.network, kept.network.view(), images)
            .isApprox(logits(conv.network, conv.network.view(), images), 1e-5F));
  const auto graph = import_keras(directory.file("graph3.h5"));
  CHECK(graph.network.scaling().mean.size() == 3);
  CHECK(graph.network.scaling().std.size() == 3);
  // Weights are as they were: [rows, columns, in, out] turned to [out x (in * rows * columns)].
  const auto file = hdf5::File::open(directory.file("conv.h5"), hdf5::File::Mode::read);
  const auto kernel = file.read<float>("model_weights/conv1/conv1/kernel:0");
  const Matrix& weight = conv.network.weights(0).weight;
  REQUIRE(weight.rows() == 8);
  REQUIRE(weight.cols() == 3 * 3 * 2);
  for (Index out = 0; out < 8; ++out) {
    for (Index in = 0; in < 3; ++in) {
      for (Index tap = 0; tap < 6; ++tap) {
        CHECK(weight(out, in * 6 + tap) == kernel[static_cast<std::size_t>((tap * 3 + in) * 8 + out)]);
      }
    }
  }
}

TEST_CASE("Keras: the shape of an image can be given where the file leaves it open") {
  const TemporaryDirectory directory;
  if (!python(directory, R"(
def open_shape(*sizes):
    def spoil(config): config["config"]["layers"][0]["config"]["batch_input_shape"] = [None, *sizes]
    return spoil
m = Model()
x = m.input(images(6, 6, 2))
m.dense(m.average(m.conv(x, "conv", 4, (3, 3)), "gap"), "fc", 3)
write(folder + "/open.h5", m, spoil=open_shape(None, None, 2))
m = Model()
x = m.input(images(4 * 3 * 2))
y = m.dense(x, "fc", 3)
write(folder + "/flat.h5", m)
with h5py.File(folder + "/flat_logits.h5", "w") as f:
    f["x"] = x.value.reshape(5, 4, 3, 2).transpose(0, 3, 1, 2).reshape(5, -1)
    f["y"] = y.value
)")) {
    return;
  }
  const auto open = directory.file("open.h5");
  CHECK(problem_of(open).find("? x ? x 2: a size is left open") != std::string::npos);
  KerasOptions options = as_they_are();
  options.input = Shape{{2, 9, 7}};
  CHECK(import_keras(open, options).network.input().dims == std::vector<Index>{2, 9, 7});
  options.input = Shape{{3, 9, 7}};
  CHECK(problem_of(open, options).find("--input-shape 3x9x7") != std::string::npos);
  options.input = Shape{{2, 9}};
  CHECK(problem_of(open, options).find("it has 3 sizes") != std::string::npos);
  // Flat values of images were in Keras' order.
  options.input = Shape{{2, 4, 3}};
  const auto [network, notes] = import_keras(directory.file("flat.h5"), options);
  CHECK(contains(notes, "4 x 3 x 2, channels last"));
  const auto file = hdf5::File::open(directory.file("flat_logits.h5"), hdf5::File::Mode::read);
  const Matrix values = logits(network, network.view(), inputs_of(network, file.read<double>("x"), 5));
  const auto expected = file.read<double>("y");
  for (Index i = 0; i < values.size(); ++i) {
    CHECK(values.data()[i] == Approx(expected[static_cast<std::size_t>(i)]).epsilon(1e-5).margin(1e-6));
  }
}

TEST_CASE("Keras: bad models are refused, with the layer named") {
  const TemporaryDirectory directory;
  if (!python(directory, R"(
def small(linked=False):
    m = Model()
    x = m.input(images(6, 6, 2))
    t = m.norm(m.conv(x, "conv", 4, (3, 3)), "bn")
    t = m.dense(m.flatten(t, "flat"), "fc", 3)
    return m
def layers(config): return {l["config"]["name"]: l for l in config["config"]["layers"]}
def setting(name, key, value):
    def spoil(config): layers(config)[name]["config"][key] = value
    return spoil
def of_class(name, kind):
    def spoil(config): layers(config)[name]["class_name"] = kind
    return spoil
def config_spoilt(name, spoil, linked=False):
    write(f"{folder}/{name}.h5", small(), sequential=not linked, spoil=spoil)
def file_spoilt(name, spoil):
    write(f"{folder}/{name}.h5", small())
    with h5py.File(f"{folder}/{name}.h5", "a") as f: spoil(f)
config_spoilt("class", of_class("flat", "LSTM"))
config_spoilt("act", setting("fc", "activation", "elu"))
config_spoilt("units", setting("fc", "units", 4))
config_spoilt("kernel", setting("conv", "kernel_size", [[[[[]]]]]))
config_spoilt("padding", setting("conv", "padding", "causal"))
config_spoilt("groups", setting("conv", "groups", 3))
config_spoilt("axis", setting("bn", "axis", [1]))
config_spoilt("huge", setting("conv", "filters", 2 ** 62))
config_spoilt("format", setting("flat", "data_format", 7))
def inbound(name, value):
    def spoil(config): layers(config)[name]["inbound_nodes"] = value
    return spoil
config_spoilt("cycle", inbound("conv", [[["flat", 0, 0, {}]]]), True)
config_spoilt("dangling", inbound("flat", [[["nobody", 0, 0, {}]]]), True)
config_spoilt("training", inbound("flat", [[["bn", 0, 0, {"training": True}]]]), True)
def two(config): config["config"]["output_layers"].append(["flat", 0, 0])
config_spoilt("outputs", two, True)
def no_layers(config): config["config"]["layers"] = []
config_spoilt("empty", no_layers)
def subclass(config): config["class_name"] = "MyModel"
config_spoilt("subclass", subclass)
def soft(config):
    layers(config)["conv"]["config"]["activation"] = "softmax"
config_spoilt("softmax", soft)
def deep(config): pass
file_spoilt("json", lambda f: f.attrs.__setitem__("model_config", b'{"class_name": '))
file_spoilt("nested", lambda f: f.attrs.__setitem__("model_config", b'{"class_name": "Sequential", "config": ' + b"[" * 30000))
file_spoilt("missing", lambda f: f["model_weights/fc/fc"].pop("bias:0"))
file_spoilt("group", lambda f: f["model_weights"].pop("conv"))
def nan(f): f["model_weights/fc/fc/kernel:0"][3, 1] = np.nan
file_spoilt("nan", nan)
def negative(f): f["model_weights/bn/bn/moving_variance:0"][1] = -2
file_spoilt("negative", negative)
def theano(f): f.attrs["backend"] = "theano"
file_spoilt("theano", theano)
file_spoilt("weights", lambda f: f.pop("model_weights"))
m = Model()
x = m.input(images(4))
t = m.dense(x, "fc", 4)
def double(config): config["config"]["layers"] *= 2
write(folder + "/twice.h5", m, spoil=double)
m = Model()
m.dense(m.input(images(4)), "one", 1)
write(folder + "/one.h5", m)
m = Model()
x = m.input(images(4))
t = m.dense(x, "shared", 4)
u = m.dense(t, "end", 3)
def again(config):
    layers(config)["shared"]["inbound_nodes"].append([["shared", 0, 0, {}]])
    layers(config)["end"]["inbound_nodes"] = [[["shared", 1, 0, {}]]]
write(folder + "/shared.h5", m, sequential=False, spoil=again)
)")) {
    return;
  }
  const std::vector<std::pair<std::string, std::string>> cases{
      {"class", "layer 'flat' (LSTM) in '"},
      {"class", "supported are Activation,"},
      {"act", "layer 'fc' (Dense) in '"},
      {"act", "activation 'elu' is not supported"},
      {"units", "its kernel is [64 x 3], its settings ask for [64 x 4]"},
      {"kernel", "its kernel_size is a list, one or two whole numbers from 1 are needed"},
      {"padding", "its padding is 'causal'"},
      {"groups", "4 filters in 3 groups do not fit 2 channels"},
      {"axis", "layer 'bn' (BatchNormalization)"},
      {"huge", "its filters is 4611686018427387904, a whole number is needed"},
      {"format", "its data_format is 7"},
      {"cycle", "its layers form a cycle"},
      {"dangling", "nothing gives 'nobody', which 'flat' takes"},
      {"training", "a layer is used in training mode"},
      {"outputs", "a model has 2 outputs"},
      {"empty", "it has no list of layers"},
      {"subclass", "it is a 'MyModel'"},
      {"softmax", "its softmax is not at the end"},
      {"json", "it is no JSON"},
      {"nested", "it is no JSON"},
      {"missing", "its parameter 'bias' is missing"},
      {"group", "the file has none of its parameters"},
      {"nan", "its kernel has the value nan"},
      {"negative", "layer 'bn' (BatchNormalization)"},
      {"theano", "its backend is theano"},
      {"weights", "it has no group 'model_weights'"},
      {"twice", "two layers are named 'fc'"},
      {"one", "the output is 1"},
      {"shared", "layer 'shared' (Dense)"},
      {"shared", "the model uses it 2 times"},
  };
  for (const auto& [name, text] : cases) {
    CAPTURE(name);
    CHECK_THAT(problem_of(directory.file(name + ".h5")), Catch::Contains(text));
  }
}

TEST_CASE("import tells files by their contents") {
  const TemporaryDirectory directory;
  if (!python(directory, R"(
m = Model()
x = m.input(images(6, 6, 1))
t = m.pool(m.conv(x, "conv", 4, (3, 3), activation="relu"), "pool", False, (2, 2))
m.dense(m.flatten(t, "flat"), "fc", 3, "softmax")
write(folder + "/model.h5", m)
with h5py.File(folder + "/weights.h5", "w") as f: f.attrs["layer_names"] = [b"fc"]
with h5py.File(folder + "/other.h5", "w", userblock_size=1024) as f: f["x"] = 1
)")) {
    return;
  }
  const auto model = directory.file("model.h5");
  const auto net = directory.file("net.h5");
  const auto run = run_program({"import", model, "--mean", "0.5", "-o", net});
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(run.err.find("the softmax is left out") != std::string::npos);
  CHECK(run.out.find("input 1x6x6") != std::string::npos);
  CHECK(load_network(net).scaling().mean == std::vector<double>{0.5});
  CHECK(run_program({"inspect", net}).code == 0);
  CHECK(run_program({"eval", net, "--dataset", "synthetic:classes=3,features=36,n=20,seed=1"}).code <= 3);
  const auto same = run_program({"import", model, "-o", model});
  CHECK(same.code == 2);
  CHECK(same.err.find("it is the model itself") != std::string::npos);
  const auto own = run_program({"import", net, "-o", directory.file("b.h5")});
  CHECK(own.code == 3);
  CHECK(own.err.find("a file of this program already") != std::string::npos);
  const auto weights = run_program({"import", directory.file("weights.h5"), "-o", net});
  CHECK(weights.code == 3);
  CHECK(weights.err.find("model.save('model.h5')") != std::string::npos);
  const auto other = run_program({"import", directory.file("other.h5"), "-o", net});
  CHECK(other.code == 3);
  CHECK(other.err.find("it is HDF5, but no Keras model") != std::string::npos);
}
