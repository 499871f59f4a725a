#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>

#include <catch2/catch.hpp>
#include <support/hostile.hpp>
#include <support/layer_examples.hpp>
#include <support/networks.hpp>
#include <support/onnx_model.hpp>
#include <support/paths.hpp>
#include <support/python.hpp>

#include <temblor/formats/format.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/onnx.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Matrix drawn(Index rows, Index columns, Stream& stream) {
  Matrix values(rows, columns);
  for (float& value : values.reshaped()) value = static_cast<float>(stream.normal());
  return values;
}

/// A classifier around the layer: other inputs than the image's shape come of dense layers.
Network around(const LayerExample& example, Stream& stream) {
  const auto dense = [&](Network& network, Index outputs, Index inputs, int from) {
    return network.add(make_layer("dense"), {drawn(outputs, inputs, stream), drawn(outputs, 1, stream)},
                       {from});
  };
  Network network(example.inputs.front(), {});
  std::vector<int> inputs{-1};
  for (std::size_t i = 1; i < example.inputs.size(); ++i) {
    const Shape& shape = example.inputs[i];
    const int flat = dense(network, shape.size(), network.input().size(), -1);
    const std::vector<double> dims(shape.dims.begin(), shape.dims.end());
    inputs.push_back(dims.size() == 1 ? flat
                                      : network.add(make_layer("reshape", {{"shape", dims}}), {}, {flat}));
  }
  const int layer =
      network.add(make_layer(example.kind, example.options),
                  example.weighted() ? example.weights(stream) : Weights{}, inputs, "the layer");
  dense(network, 3, network.nodes()[static_cast<std::size_t>(layer)].shape.size(), layer);
  return network;
}

/// x [2 x 4 x 4] through `op`, then flat into a matrix that passes it on.
struct Through {
  Model model{{2, 4, 4}};
  ::onnx::NodeProto& node;

  Through(const std::string& op, const std::vector<std::string>& inputs)
      : node(model.node(op, inputs, "p")) {}

  Network load(std::int64_t values, const OnnxOptions& options = {}) {
    Model::integer(model.node("Flatten", {"p"}, "flat"), "axis", 1);
    model.real("last", {values, 2}, numbers(static_cast<std::size_t>(2 * values), 77));
    model.node("MatMul", {"flat", "last"}, "y");
    return model.load(options).network;
  }
};

std::vector<double> option(const Network& network, const std::string& name, std::size_t node = 0) {
  return network.nodes()[node].layer->options().at(name);
}

}  // namespace

TEST_CASE("onnx: every kind of layer is written and read again, bit for bit") {
  const TemporaryDirectory directory;
  Stream stream(8, {});
  int written = 0;
  for (const LayerExample& example : layer_examples()) {
    for (const bool bias : {true, false}) {
      if (!bias && !example.weighted()) continue;
      CAPTURE(example.text(), bias);
      Network network = around(example, stream);
      if (!bias) {
        Network plain(network.input(), {});
        plain.add(network.nodes()[0].layer, {network.weights(0).weight, {}}, {-1}, "the layer");
        plain.add(make_layer("dense"), network.weights(1));
        network = plain;
      }
      const auto path = directory.file("net" + std::to_string(++written) + ".onnx");
      save_network(network, path);
      const auto again = import_onnx(path);
      CHECK(again.notes.empty());
      REQUIRE(again.network.layers() == network.layers());
      for (int m = 0; m < network.layers(); ++m)
        CHECK(same_bits(again.network.weights(m), network.weights(m)));
      const Matrix images = Matrix::Random(7, network.input().size());
      CHECK(logits_of(again.network, images) == logits_of(network, images));
    }
  }
  save_network(quantise(random_network("6-5-3", 1, true), find_format("uint8-channel"), {0, 1}),
               directory.file("codes.onnx"));
  const std::string python = python_with("onnx.checker", "python3-onnx");
  if (python.empty()) return;
  std::ofstream(directory.file("check.py")) << R"(
import glob, sys, onnx
for path in glob.glob(sys.argv[1] + '/*.onnx'):
    onnx.checker.check_model(path, full_check=True)
)";
  CHECK(std::system((python + " '" + directory.file("check.py") + "' '" + directory.path() + "'").c_str()) ==
        0);
}

TEST_CASE("onnx: automatic padding and ceil_mode become padding") {
  using Reals = std::vector<double>;
  for (const bool upper : {true, false}) {
    Through pool("MaxPool", {"x"});
    Model::integers(pool.node, "kernel_shape", {2, 3});
    Model::text(pool.node, "auto_pad", upper ? "SAME_UPPER" : "SAME_LOWER");
    CHECK(option(pool.load(32), "padding") == (upper ? Reals{0, 1, 1, 1} : Reals{1, 1, 0, 1}));
    Through strided("AveragePool", {"x"});
    Model::integers(strided.node, "kernel_shape", {3, 2});
    Model::integers(strided.node, "strides", {2, 3});
    Model::text(strided.node, "auto_pad", upper ? "SAME_UPPER" : "SAME_LOWER");
    CHECK(option(strided.load(8), "padding") == (upper ? Reals{0, 0, 1, 1} : Reals{1, 1, 0, 0}));
  }
  Through ceil("MaxPool", {"x"});
  Model::integers(ceil.node, "kernel_shape", {3, 2});
  Model::integers(ceil.node, "strides", {2, 2});
  Model::integer(ceil.node, "ceil_mode", 1);
  CHECK(option(ceil.load(8), "padding") == Reals{0, 0, 1, 0});
  Through behind("MaxPool", {"x"});  // the third row of windows would start behind the picture
  Model::integers(behind.node, "kernel_shape", {1, 1});
  Model::integers(behind.node, "strides", {5, 1});
  Model::integer(behind.node, "ceil_mode", 1);
  CHECK(option(behind.load(8), "padding") == Reals{0, 0, 0, 0});
  Through counted("AveragePool", {"x"});
  Model::integers(counted.node, "kernel_shape", {3, 3});
  Model::integers(counted.node, "strides", {2, 2});
  Model::integer(counted.node, "ceil_mode", 1);
  Model::integer(counted.node, "count_include_pad", 1);
  CHECK_THROWS_WITH(counted.load(8), Catch::Contains("the AveragePool") && Catch::Contains("ceil_mode"));
}

TEST_CASE("onnx: what scales channels is folded into the convolution before it, or kept") {
  const auto build = [] {
    Model model({2, 3, 3});
    model.real("w", {4, 2, 2, 2}, numbers(32, 1));
    model.node("Conv", {"x", "w"}, "c");
    for (const std::string name : {"scale", "shift", "mean"})
      model.real(name, {4}, numbers(4, static_cast<int>(name.size())));
    model.real("variance", {4}, {0.5F, 1, 2, 3});
    model.node("BatchNormalization", {"c", "scale", "shift", "mean", "variance"}, "n");
    model.real("k", {1, 4, 1, 1}, numbers(4, 9));
    model.node("Mul", {"k", "n"}, "m");
    model.real("one", {}, {0.5F});
    model.node("Sub", {"one", "m"}, "s");
    model.node("Relu", {"s"}, "r");
    model.node("GlobalAveragePool", {"r"}, "g");
    model.node("Flatten", {"g"}, "y");
    return model;
  };
  const auto folded = build().load();
  CHECK(folded.network.layers() == 1);
  CHECK(folded.notes.size() == 3);
  const auto kept = build().load({{}, {}, true});
  CHECK(kept.network.layers() == 4);
  CHECK(kept.notes.empty());
  const Matrix images = Matrix::Random(9, 18);
  CHECK((logits_of(folded.network, images) - logits_of(kept.network, images)).cwiseAbs().maxCoeff() < 1e-5F);
  // Read by two nodes: the convolution stays as it is.
  Model shared = build();
  shared.graph().mutable_node(6)->set_output(0, "f");
  shared.node("GlobalAveragePool", {"c"}, "g2");
  shared.node("Flatten", {"g2"}, "f2");
  shared.node("Add", {"f", "f2"}, "y");
  const auto split = shared.load();
  CHECK(split.network.layers() == 4);
  CHECK(same_bits(split.network.weights(0), kept.network.weights(0)));
}

TEST_CASE("onnx: sums, products with constants, slices and the like, against plain arithmetic") {
  Model model({2, 4, 4}, 12);
  // The shortcut of a residual network as torch writes it: every other row and column, channels padded.
  for (const std::string axis : {"2", "3"}) model.whole("axis" + axis, {std::stoi(axis)});
  model.whole("zero", {0});
  model.whole("two", {2});
  model.whole("end", {std::numeric_limits<std::int64_t>::max()});
  model.node("Slice", {"x", "zero", "end", "axis2", "two"}, "rows");
  model.node("Slice", {"rows", "zero", "end", "axis3", "two"}, "half");
  model.whole("counts", {0, 0, 0, 0, 1, 1});
  model.node("ConstantOfShape", {"two"}, "reals");
  auto& cast = model.node("Cast", {"reals"}, "zeros");
  Model::integer(cast, "to", ::onnx::TensorProto::INT64);
  Model::integer(model.node("Concat", {"counts", "zeros"}, "pairs"), "axis", 0);
  model.whole("pair", {-1, 2});
  model.node("Reshape", {"pairs", "pair"}, "table");
  model.whole("minus", {-1});
  model.whole("least", {std::numeric_limits<std::int64_t>::min() + 1});
  model.node("Slice", {"table", "minus", "least", "zero", "minus"}, "turned");
  Model::integers(model.node("Transpose", {"turned"}, "columns"), "perm", {1, 0});
  model.node("Reshape", {"columns", "minus"}, "pads");
  model.node("Pad", {"half", "pads"}, "padded");  // [4 x 2 x 2]
  const auto each = numbers(16, 3);
  model.real("each", {4, 2, 2}, each);
  model.node("Add", {"padded", "each"}, "a");
  model.node("Neg", {"a"}, "b");
  model.real("half_", {}, {0.25F});
  model.node("Div", {"b", "half_"}, "c");
  model.node("Sub", {"c", "padded"}, "d");
  model.node("Sum", {"d", "a", "a"}, "e");
  Model::integer(model.node("Concat", {"e", "a"}, "f"), "axis", 2);  // [4 x 4 x 2]
  Model::integers(model.node("Transpose", {"f"}, "t"), "perm", {0, 2, 3, 1});
  model.whole("index", {-1}, true);
  Model::integer(model.node("Gather", {"t", "index"}, "g"), "axis", 3);  // channel 3: [4 x 2]
  model.whole("flat", {0, 8});
  model.node("Reshape", {"g", "flat"}, "h");
  model.real("last", {8, 8}, [] {
    std::vector<float> identity(64, 0);
    for (std::size_t i = 0; i < 8; ++i) identity[i * 9] = 1;
    return identity;
  }());
  model.node("MatMul", {"h", "last"}, "y");
  const Network network = model.load().network;
  const Matrix images = Matrix::Random(5, 32);
  const Matrix values = logits_of(network, images);
  REQUIRE(values.cols() == 8);
  // Channel 3 of the padded image is 0 everywhere: only the constant is left.
  for (Index n = 0; n < 5; ++n) {
    for (std::size_t i = 0; i < 4; ++i) {
      const float a = each[12 + i];
      CHECK(values(n, static_cast<Index>(i)) == Approx(-4 * a + 2 * a).margin(1e-6));
      CHECK(values(n, static_cast<Index>(i + 4)) == Approx(a).margin(1e-6));
    }
  }
  // Channel 1 holds the image's channel 0.
  model.graph()
      .mutable_initializer([&] {
        for (int i = 0;; ++i)
          if (model.graph().initializer(i).name() == "index") return i;
      }())
      ->set_int64_data(0, 1);
  const Matrix others = logits_of(model.load().network, images);
  for (Index n = 0; n < 5; ++n) {
    const float x = images(n, 10);  // row 2, column 2
    const float a = x + each[7];
    CHECK(others(n, 3) == Approx(-4 * a - x + 2 * a).margin(1e-5));
  }
}

TEST_CASE("onnx: activations and their limits") {
  const auto kind = [](const std::string& op, const std::function<void(Through&)>& change) {
    Through through(op, {"x"});
    change(through);
    const Network network = through.load(32);
    return std::string(network.nodes()[0].layer->kind());
  };
  CHECK(kind("HardSwish", [](Through&) {}) == "hard-swish");
  CHECK(kind("LeakyRelu", [](Through& t) { Model::number(t.node, "alpha", 0.25F); }) == "leaky-relu");
  CHECK(kind("Clip", [](Through& t) { Model::number(t.node, "min", 0); }) == "relu");
  CHECK(kind("Clip", [](Through&) {}) == "flatten");
  CHECK(kind("HardSigmoid", [](Through&) {}) == "scale");
  Through clip("Clip", {"x", "", "six"});
  clip.model.real("six", {}, {6});
  const Network network = clip.load(32);
  CHECK(option(network, "high") == std::vector<double>{6});
  CHECK(option(network, "low")[0] == -static_cast<double>(std::numeric_limits<float>::max()));
  // x HardSigmoid(x), as exporters wrote it before opset 14.
  Model product({3});
  Model::number(product.node("HardSigmoid", {"x"}, "s"), "alpha", 1.0F / 6);
  product.node("Mul", {"x", "s"}, "p");
  product.real("w", {3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  product.node("MatMul", {"p", "w"}, "y");
  const Network swish = product.load().network;
  CHECK(swish.nodes().size() == 2);
  Matrix x(1, 3);
  x << -4, 1, 7;
  const Matrix y = logits_of(swish, x);
  CHECK(y(0, 0) == 0);
  CHECK(y(0, 1) == Approx(1 * 4.0 / 6));
  CHECK(y(0, 2) == 7);
}

TEST_CASE("onnx: images of rows, columns and channels are taken with the channels first") {
  Model model({4, 5, 3});
  Model::integers(model.node("Transpose", {"x"}, "t"), "perm", {0, 3, 1, 2});
  model.real("w", {2, 3, 4, 5}, numbers(120, 1));
  model.node("Conv", {"t", "w"}, "c");
  model.node("Flatten", {"c"}, "y");
  const auto made = model.load();
  CHECK(made.network.input().dims == std::vector<Index>{3, 4, 5});
  CHECK(made.network.nodes().size() == 2);
  REQUIRE(made.notes.size() == 1);
  CHECK(made.notes[0].find("channels x height x width") != std::string::npos);
}

TEST_CASE("onnx: convolutional networks that cannot be read are refused with the node and the reason") {
  const auto problem = [](const std::string& op, const std::vector<std::string>& inputs,
                          const std::function<void(Model&, ::onnx::NodeProto&)>& change) {
    Through through(op, inputs);
    change(through.model, through.node);
    Model::integer(through.model.node("Flatten", {"p"}, "flat"), "axis", 1);
    through.model.real("last", {32, 2}, numbers(64, 7));
    through.model.node("MatMul", {"flat", "last"}, "y");
    const std::string text = through.model.problem();
    CHECK((text == "loaded" || text.find("node '") != std::string::npos));
    return text;
  };
  using Catch::Contains;
  const auto none = [](Model&, ::onnx::NodeProto&) {};
  CHECK_THAT(problem("Conv", {"x", "w"},
                     [](Model& m, auto&) {
                       m.real("w", {2, 3, 1, 1}, numbers(6, 1));
                     }),
             Contains("[2 x 3 x 1 x 1] in 1 groups, the input has 2 channels"));
  CHECK_THAT(problem("Conv", {"x", "w"},
                     [](Model& m, auto&) {
                       m.real("w", {2, 2, 3}, numbers(12, 1));
                     }),
             Contains("[2 x 2 x 3]"));
  CHECK_THAT(problem("Conv", {"x", "w"},
                     [](Model& m, auto& n) {
                       m.real("w", {2, 2, 1, 1}, numbers(4, 1));
                       Model::integer(n, "group", 0);
                     }),
             Contains("0 groups"));
  CHECK_THAT(problem("Conv", {"x", "w"},
                     [](Model& m, auto& n) {
                       m.real("w", {2, 2, 1, 1}, numbers(4, 1));
                       Model::integers(n, "pads", {0, 0, -1, 0});
                     }),
             Contains("pads is -1"));
  CHECK_THAT(problem("Conv", {"x", "w"},
                     [](Model& m, auto& n) {
                       m.real("w", {2, 2, 1, 1}, numbers(4, 1));
                       Model::integers(n, "pads", {1 << 23, 1 << 23, 1 << 23, 1 << 23});
                     }),
             Contains("values an image"));
  CHECK_THAT(problem("Conv", {"x", "w"},
                     [](Model& m, auto& n) {
                       m.real("w", {2, 2, 1, 1}, numbers(4, 1));
                       Model::integers(n, "strides", {1});
                     }),
             Contains("strides has 1"));
  CHECK_THAT(problem("Conv", {"x", "w"},
                     [](Model& m, auto& n) {
                       m.real("w", {2, 2, 1, 1}, numbers(4, 1));
                       Model::text(n, "auto_pad", "SOME");
                     }),
             Contains("'SOME'"));
  CHECK_THAT(problem("Conv", {"x", "w", "b"},
                     [](Model& m, auto&) {
                       m.real("w", {2, 2, 1, 1}, numbers(4, 1));
                       m.real("b", {3}, numbers(3, 1));
                     }),
             Contains("bias is [3]"));
  CHECK_THAT(problem("Conv", {"x", "w"},
                     [](Model& m, auto&) {
                       m.real("w", {2, 2, 1, 1}, {1, 2, std::nanf(""), 4});
                     }),
             Contains("not a finite number"));
  CHECK_THAT(problem("MaxPool", {"x"},
                     [](Model&, auto& n) {
                       Model::integers(n, "kernel_shape", {1 << 20, 1 << 20});
                       Model::integers(n, "pads", {1 << 20, 1 << 20, 1 << 20, 1 << 20});
                     }),
             Contains("2^25"));
  CHECK_THAT(problem("MaxPool", {"x"}, [](Model&, auto& n) { Model::integers(n, "kernel_shape", {2}); }),
             Contains("kernel_shape has 1"));
  CHECK_THAT(problem("Mul", {"x", "x"}, none), Contains("products and quotients"));
  CHECK_THAT(problem("Div", {"k", "x"}, [](Model& m, auto&) { m.real("k", {}, {1}); }), Contains("divides"));
  CHECK_THAT(problem("Add", {"x", "k"},
                     [](Model& m, auto&) {
                       m.real("k", {3}, {1, 2, 3});
                     }),
             Contains("shapes do not fit"));
  CHECK_THAT(problem("Transpose", {"x"},
                     [](Model&, auto& n) {
                       Model::integers(n, "perm", {1, 0, 2, 3});
                     }),
             Contains("batch first"));
  CHECK_THAT(problem("Slice", {"x", "s", "e", "a"},
                     [](Model& m, auto&) {
                       m.whole("s", {3});
                       m.whole("e", {3});
                       m.whole("a", {1});
                     }),
             Contains("takes no values"));
  CHECK_THAT(problem("Slice", {"x", "s", "e", "a"},
                     [](Model& m, auto&) {
                       m.whole("s", {0});
                       m.whole("e", {1});
                       m.whole("a", {0});
                     }),
             Contains("batch"));
  CHECK_THAT(problem("Pad", {"x", "c"},
                     [](Model& m, auto&) {
                       m.whole("c", {0, 0, 0, 0, 0, 1 << 24, 1 << 24, 1 << 24});
                     }),
             Contains("memory"));
  CHECK_THAT(problem("Pad", {"x", "c"},
                     [](Model& m, auto&) {
                       m.whole("c", {0, 0, 0, 0, 0, -1, 0, 0});
                     }),
             Contains("pads by"));
  CHECK_THAT(problem("Pad", {"x", "c"},
                     [](Model& m, auto& n) {
                       m.whole("c", {0, 0, 1, 1, 0, 0, 1, 1});
                       Model::text(n, "mode", "reflect");
                     }),
             Contains("reflect"));
  CHECK_THAT(problem("Reshape", {"x", "c"},
                     [](Model& m, auto&) {
                       m.whole("c", {0, 1LL << 62, 4});
                     }),
             Contains("sizes do not fit"));
  CHECK_THAT(problem("ReduceMean", {"x"}, [](Model&, auto& n) { Model::integers(n, "axes", {1}); }),
             Contains("mean over rows and columns"));
  CHECK_THAT(problem("Clip", {"x", "k"}, [](Model& m, auto&) { m.real("k", {}, {std::nanf("")}); }),
             Contains("limits"));
  CHECK_THAT(problem("BatchNormalization", {"x", "k", "k", "k", "v"},
                     [](Model& m, auto&) {
                       m.real("k", {2}, {1, 1});
                       m.real("v", {2}, {-1, 1});
                     }),
             Contains("variance"));
  // Constants that a few bytes would make gigabytes of, and arithmetic that goes out of range.
  const auto made = [](const std::function<void(Model&)>& build) {
    Model model({2, 4, 4});
    build(model);
    model.node("Add", {"x", "k"}, "p");
    model.node("Flatten", {"p"}, "y");
    return model.problem();
  };
  CHECK_THAT(made([](Model& m) {
               m.whole("s", {1 << 20, 1 << 20, 1 << 20});
               m.node("ConstantOfShape", {"s"}, "k");
             }),
             Contains("the ConstantOfShape") && Contains("far more than the file holds"));
  CHECK_THAT(made([](Model& m) {
               m.real("o", {1}, {1});
               m.whole("s", {1 << 20, 1 << 10});
               m.node("Expand", {"o", "s"}, "k");
             }),
             Contains("the Expand") && Contains("far more"));
  CHECK_THAT(made([](Model& m) {
               m.whole("a", {0}, true);
               m.whole("b", {1LL << 39}, true);
               m.whole("c", {1}, true);
               m.node("Range", {"a", "b", "c"}, "k");
             }),
             Contains("the Range") && Contains("far more"));
  CHECK_THAT(made([](Model& m) {
               m.whole("a", {std::numeric_limits<std::int64_t>::max()});
               m.node("Mul", {"a", "a"}, "k");
             }),
             Contains("the Mul") && Contains("out of range"));
  CHECK_THAT(made([](Model& m) {
               m.whole("a", {0});
               m.node("Div", {"a", "a"}, "k");
             }),
             Contains("the Div") && Contains("out of range"));
  CHECK_THAT(made([](Model& m) {
               m.node("Shape", {"x"}, "s");
               m.node("Add", {"s", "s"}, "k");
             }),
             Contains("size of the batch"));
  CHECK_THAT(made([](Model& m) {
               m.whole("c0", {0, 0});
               for (int i = 0; i < 40; ++i) {
                 const std::string from = "c" + std::to_string(i);
                 Model::integer(m.node("Concat", {from, from}, "c" + std::to_string(i + 1)), "axis", 0);
               }
               m.node("Identity", {"c40"}, "k");
             }),
             Contains("the Concat") && Contains("far more"));
}

TEST_CASE("onnx: spoilt convolutional models are refused, or are networks") {
  const TemporaryDirectory directory;
  const auto path = directory.file("m.onnx");
  Stream draws(5, {});
  Network network({{2, 6, 6}}, {});
  const auto add = [&](const std::string& kind, const LayerOptions& options = {}, Weights weights = {},
                       std::vector<int> inputs = {}) {
    return network.add(make_layer(kind, options), std::move(weights), std::move(inputs));
  };
  add("conv2d", {{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}}, {drawn(4, 18, draws), {}});
  add("scale", {}, {drawn(4, 1, draws), drawn(4, 1, draws)});
  const int relu = add("relu");
  add("pad", {{"before", {0, 1, 0}}, {"after", {0, 1, 0}}, {"value", {0.5}}});
  add("slice", {{"start", {0, 7, 0}}, {"count", {4, 6, 6}}, {"step", {1, -1, 1}}});
  const int sum = add("add", {{"signs", {1, -1}}}, {}, {relu, 4});
  add("transpose", {{"order", {1, 0, 2}}});
  add("reshape", {{"shape", {4, 6, 6}}});
  add("concat", {}, {}, {7, sum});
  add("clip");
  add("max-pool", {{"kernel", {2, 2}}, {"stride", {2, 2}}});
  add("average-pool", {{"kernel", {2, 2}}});
  add("flatten");
  add("dense", {}, {drawn(3, 32, draws), {}});
  save_network(quantise(network, find_format("int8-channel"), {0}), path);
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  REQUIRE(import_onnx(path).network.layers() == 3);
  int refused = 0;
  for (std::uint32_t round = 0; round < 2000; ++round) {
    Stream stream(1, {2, round, 0});
    std::filesystem::remove(path);
    std::ofstream(path, std::ios::binary) << spoil(bytes, stream);
    try {
      if (import_onnx(path).network.classes() < 2) FAIL("round " << round << " has no classes");
    } catch (const Error& error) {
      ++refused;
      if (error.code() != Exit::bad_input) FAIL("round " << round << ": " << error.what());
    } catch (const std::exception& error) {
      FAIL("round " << round << ": " << error.what());
    }
  }
  CHECK(refused > 300);
}

TEST_CASE("onnx: notes of the scaling are checked as in network files") {
  const auto problem = [](const std::string& key, const std::string& value) {
    Model model({2, 4, 4});
    model.real("w", {32, 2}, numbers(64, 1));
    model.node("Flatten", {"x"}, "f");
    model.node("MatMul", {"f", "w"}, "y");
    auto& property = *model.proto.add_metadata_props();
    property.set_key("temblor." + key);
    property.set_value(value);
    return model.problem();
  };
  CHECK(problem("mean", "0.5,0.25") == "loaded");
  for (const auto& [key, value] : {std::pair("scale", "0"),
                                   {"scale", "nan"},
                                   {"std", "0"},
                                   {"std", "1,2,3"},
                                   {"mean", "inf"},
                                   {"mean", "x"},
                                   {"scale", ""}})
    CHECK_THAT(problem(key, value), Catch::Contains(std::string("metadata 'temblor.") + key));
}
