#include <array>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include <catch2/catch.hpp>
#include <support/hostile.hpp>
#include <support/networks.hpp>
#include <support/onnx_model.hpp>
#include <support/paths.hpp>

#include <temblor/base/error.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/onnx.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// x [4] -> Gemm [3] -> y
Model small() {
  Model model;
  model.real("w", {3, 4}, numbers(12, 1));
  Model::integer(model.node("Gemm", {"x", "w"}, "y"), "transB", 1);
  return model;
}

}  // namespace

TEST_CASE("onnx: what is written is read again, bit for bit") {
  const TemporaryDirectory directory;
  const auto path = directory.file("net.onnx");
  for (const std::string activation : {"relu", "sigmoid", "tanh"}) {
    for (const bool biases : {false, true}) {
      InputScaling scaling;
      scaling.mean = {0.25};
      scaling.std = {0.3125};
      Network network = multilayer_perceptron("12-7-5-3", activation, biases, scaling, {{12}});
      Stream stream(4, {});
      for (int m = 0; m < network.layers(); ++m) {
        Weights weights = network.weights(m);
        for (float& w : weights.weight.reshaped()) w = static_cast<float>(stream.normal());
        for (float& b : weights.bias) b = static_cast<float>(stream.normal());
        network = network.with(m, weights);
      }
      save_network(network, path, {{"command_line", "test"}});
      const auto again = import_onnx(path);
      CHECK(again.notes.empty());
      CHECK(again.network.id() == network.id());
      CHECK(again.network.scaling() == scaling);
      CHECK_THROWS_WITH(load_network(path), Catch::Contains("temblor import"));
    }
  }
  // Images of three sizes: flattened where the first dense layer reads them.
  Network network = multilayer_perceptron("12-5-3", "relu", true, {}, {{3, 2, 2}});
  network = network.with(0, {Matrix::Random(5, 12), Vector::Random(5)});
  save_network(network, path);
  const auto again = import_onnx(path).network;
  CHECK(again.input() == network.input());
  const Matrix images = Matrix::Random(9, 12);
  CHECK(logits_of(again, images) == logits_of(network, images));
}

TEST_CASE("onnx: networks with codes that ONNX does not have are not written without them") {
  const TemporaryDirectory directory;
  const auto network = quantise(random_network("6-5-3", 1, true), find_format("int4"), {0, 1});
  CHECK_THROWS_WITH(save_network(network, directory.file("q.onnx")), Catch::Contains("stored codes"));
  CHECK_FALSE(std::filesystem::exists(directory.file("q.onnx")));
}

TEST_CASE("onnx: MatMul, Add, Gemm, BatchNormalization and constants, against plain arithmetic") {
  Model model({2, 2}, 11);
  // Reshape to [batch, -1] as a graph computes it: Shape, Gather, Unsqueeze, Concat.
  model.whole("zero", {0}, true);
  model.node("Shape", {"x"}, "shape");
  model.node("Gather", {"shape", "zero"}, "batch");
  auto& axes = *model.node("Unsqueeze", {"batch"}, "batches").add_attribute();
  axes.set_name("axes");
  axes.set_type(::onnx::AttributeProto::INTS);
  axes.add_ints(0);
  model.whole("rest", {-1});
  model.node("Concat", {"batches", "rest"}, "sizes");
  model.node("Reshape", {"x", "sizes"}, "flat");
  const auto w1 = numbers(20, 2);  // [4 x 5]
  const auto b1 = numbers(5, 3);
  model.real("w1", {4, 5}, w1);
  model.real("b1", {5}, b1);
  model.node("MatMul", {"flat", "w1"}, "p1");
  model.node("Add", {"b1", "p1"}, "q1");
  const std::array<std::vector<float>, 3> norm{numbers(5, 4), numbers(5, 5), numbers(5, 6)};
  const std::vector<float> variance{0.5F, 1, 2, 3, 0.25F};
  model.real("scale", {5}, norm[0]);
  model.real("shift", {5}, norm[1]);
  model.real("mean", {5}, norm[2]);
  model.real("var", {5}, variance);
  Model::number(model.node("BatchNormalization", {"q1", "scale", "shift", "mean", "var"}, "n1"), "epsilon",
                1e-3F);
  model.node("Tanh", {"n1"}, "z1");
  model.node("Dropout", {"z1"}, "d1");
  model.node("Identity", {"d1"}, "i1");
  const auto w2 = numbers(15, 7);  // [5 x 3]
  const auto b2 = numbers(3, 8);
  model.real("w2", {5, 3}, w2);
  model.real("b2", {1, 3}, b2);
  auto& gemm = model.node("Gemm", {"i1", "w2", "b2"}, "p2");
  Model::number(gemm, "alpha", 0.5F);
  Model::number(gemm, "beta", 2);
  model.node("Softmax", {"p2"}, "y");
  // A branch that nothing reads may hold anything.
  model.node("Conv", {"x", "w1"}, "unused");

  const auto made = model.load();
  REQUIRE(made.notes.size() == 3);
  CHECK(made.notes[0].find("BatchNormalization") != std::string::npos);
  CHECK(made.notes[1].find("alpha") != std::string::npos);
  CHECK(made.notes[2].find("left out") != std::string::npos);
  CHECK(made.network.input().dims == std::vector<Index>{2, 2});
  CHECK(made.network.layers() == 2);
  const Matrix images = Matrix::Random(20, 4);
  const Matrix values = logits_of(made.network, images);
  for (Index n = 0; n < images.rows(); ++n) {
    std::array<double, 5> z{};
    for (std::size_t i = 0; i < 5; ++i) {
      double p = static_cast<double>(b1[i]);
      for (std::size_t j = 0; j < 4; ++j)
        p += static_cast<double>(images(n, static_cast<Index>(j))) * static_cast<double>(w1[j * 5 + i]);
      const double deviation = std::sqrt(static_cast<double>(variance[i]) + static_cast<double>(1e-3F));
      z[i] = std::tanh((p - static_cast<double>(norm[2][i])) / deviation * static_cast<double>(norm[0][i]) +
                       static_cast<double>(norm[1][i]));
    }
    for (std::size_t c = 0; c < 3; ++c) {
      double p = 2 * static_cast<double>(b2[c]);
      for (std::size_t i = 0; i < 5; ++i) p += 0.5 * z[i] * static_cast<double>(w2[i * 3 + c]);
      CHECK(static_cast<double>(values(n, static_cast<Index>(c))) == Approx(p).epsilon(1e-5).margin(1e-5));
    }
  }
}

TEST_CASE("onnx: shapes that keep batch and values are followed") {
  const auto w = numbers(24, 9);
  for (const std::string form : {"Flatten", "0,-1", "-1,12", "1,12", "squeeze"}) {
    CAPTURE(form);
    Model model({1, 3, 4});
    std::string flat = "flat";
    if (form == "Flatten") {
      model.node("Flatten", {"x"}, flat);
    } else if (form == "squeeze") {
      model.whole("axes", {1});
      model.whole("sizes", {0, 12});
      model.node("Squeeze", {"x", "axes"}, "square");
      model.node("Unsqueeze", {"square", "axes"}, "again");
      model.node("Reshape", {"again", "sizes"}, flat);
    } else {
      model.whole("sizes", form == "0,-1"    ? std::vector<std::int64_t>{0, -1}
                           : form == "-1,12" ? std::vector<std::int64_t>{-1, 12}
                                             : std::vector<std::int64_t>{1, 12});
      model.node("Reshape", {"x", "sizes"}, flat);
    }
    model.real("w", {12, 2}, w);
    model.node("MatMul", {flat, "w"}, "y");
    const auto network = model.load().network;
    CHECK(network.layers() == 1);
    CHECK(network.weights(0).weight(1, 0) == w[1]);
    CHECK(network.weights(0).weight(0, 1) == w[2]);
  }
}

TEST_CASE("onnx: the types and places that weights may have") {
  const auto w = numbers(12, 1);
  const auto with = [&](const std::function<void(::onnx::TensorProto&)>& change) {
    Model model = small();
    change(*model.graph().mutable_initializer(0));
    return model.load().network.weights(0).weight;
  };
  const Matrix plain = Eigen::Map<const Matrix>(w.data(), 3, 4);
  CHECK(with([](auto&) {}) == plain);
  CHECK(with([&](auto& tensor) {
          tensor.clear_float_data();
          tensor.set_raw_data(w.data(), 48);
        }) == plain);
  CHECK(with([&](auto& tensor) {
          tensor.clear_float_data();
          tensor.set_data_type(::onnx::TensorProto::DOUBLE);
          for (const float value : w) tensor.add_double_data(static_cast<double>(value));
        }) == plain);
  const auto halves = with([&](auto& tensor) {
    tensor.clear_float_data();
    tensor.set_data_type(::onnx::TensorProto::FLOAT16);
    for (int i = 0; i < 12; ++i) tensor.add_int32_data(0x3C00 + i);
  });
  CHECK(halves(0, 0) == 1);
  CHECK(halves(0, 1) == 1 + 0x1p-10F);
  const auto brains = with([&](auto& tensor) {
    tensor.clear_float_data();
    tensor.set_data_type(::onnx::TensorProto::BFLOAT16);
    const std::array<std::uint16_t, 12> codes{0x3F80, 0xBF80};
    tensor.set_raw_data(codes.data(), 24);
  });
  CHECK(brains(0, 0) == 1);
  CHECK(brains(0, 1) == -1);
}

TEST_CASE("onnx: data beside the model, in its folder and nowhere else") {
  const auto w = numbers(12, 1);
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.file("inside"));
  const auto put = [&](const std::string& name) {
    std::ofstream out(directory.file(name), std::ios::binary);
    out << "head" << std::string(reinterpret_cast<const char*>(w.data()), 48);
  };
  put("inside/w.bin");
  put("w.bin");
  const auto load = [&](const std::string& location, const std::string& offset, const std::string& length) {
    Model model = small();
    auto& tensor = *model.graph().mutable_initializer(0);
    tensor.clear_float_data();
    tensor.set_data_location(::onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] :
         {std::pair("location", location), {"offset", offset}, {"length", length}}) {
      auto& entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    std::ofstream(directory.file("inside/m.onnx"), std::ios::binary) << model.bytes();
    return import_onnx(directory.file("inside/m.onnx")).network.weights(0).weight;
  };
  CHECK(load("w.bin", "4", "48") == Eigen::Map<const Matrix>(w.data(), 3, 4));
  CHECK_THROWS_WITH(load("../w.bin", "4", "48"), Catch::Contains("not in the model's folder"));
  CHECK_THROWS_WITH(load(directory.file("w.bin"), "4", "48"), Catch::Contains("not in the model's folder"));
  CHECK_THROWS_WITH(load("none.bin", "4", "48"), Catch::Contains("missing or too short"));
  CHECK_THROWS_WITH(load("w.bin", "8", "48"), Catch::Contains("missing or too short"));
  CHECK_THROWS_WITH(load("w.bin", "18446744073709551615", "48"), Catch::Contains("missing or too short"));
  CHECK_THROWS_WITH(load("w.bin", "4", "44"), Catch::Contains("44 bytes"));
  CHECK_THROWS_WITH(load("w.bin", "-4", "48"), Catch::Contains("no whole number"));
  std::filesystem::create_symlink("../w.bin", directory.file("inside/link.bin"));
  CHECK_THROWS_WITH(load("link.bin", "4", "48"), Catch::Contains("not in the model's folder"));
}

TEST_CASE("onnx: what cannot be read is refused with the node and the reason") {
  const auto problem = [](const std::function<void(Model&)>& change) {
    Model model = small();
    change(model);
    return model.problem();
  };
  using Catch::Contains;
  CHECK(problem([](Model&) {}) == "loaded");
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_node(0)->set_op_type("LSTM"); }),
             Contains("node 'the Gemm' (LSTM)"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_node(0)->set_op_type("LSTM"); }),
             Contains("supported are"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_node(0)->set_domain("com.x"); }), Contains("com.x"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_node(0)->set_input(1, "v"); }), Contains("'v'"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_node(0)->set_input(0, "y"); }), Contains("'y'"));
  CHECK_THAT(problem([](Model& m) { m.node("Relu", {"x"}, "y"); }), Contains("given twice"));
  CHECK_THAT(problem([](Model& m) { m.proto.mutable_opset_import(0)->set_version(6); }),
             Contains("opset is 6"));
  CHECK_THAT(problem([](Model& m) { m.proto.mutable_opset_import(0)->set_version(18); }),
             Contains("opset is 18"));
  CHECK_THAT(problem([](Model& m) { m.proto.clear_opset_import(); }), Contains("opset is 0"));
  CHECK_THAT(problem([](Model& m) { m.input("second", {4}); }), Contains("more than one input"));
  CHECK_THAT(problem([](Model& m) { m.graph().add_output()->set_name("x"); }), Contains("2 outputs"));
  CHECK_THAT(problem([](Model& m) { m.graph().clear_output(); }), Contains("0 outputs"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_output(0)->set_name("x"); }), Contains("output 'x'"));
  CHECK_THAT(problem([](Model& m) { m.proto.clear_graph(); }), Contains("no ONNX model"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_initializer(0)->set_float_data(3, std::nanf("")); }),
             Contains("the Gemm"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_initializer(0)->add_float_data(1); }),
             Contains("13 values"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_initializer(0)->set_dims(0, 1LL << 62); }),
             Contains("impossible"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_initializer(0)->set_dims(0, 1 << 24); }),
             Contains("holds 12 values"));
  CHECK_THAT(problem([](Model& m) { m.graph().mutable_initializer(0)->set_dims(1, -4); }), Contains("-4"));
  CHECK_THAT(problem([](Model& m) {
               m.graph().mutable_initializer(0)->set_dims(0, 4);
               m.graph().mutable_initializer(0)->set_dims(1, 3);
             }),
             Contains("[4 x 3]"));
  CHECK_THAT(
      problem([](Model& m) { m.graph().mutable_initializer(0)->set_data_type(::onnx::TensorProto::STRING); }),
      Contains("STRING"));
  CHECK_THAT(problem([](Model& m) {
               m.graph()
                   .mutable_input(0)
                   ->mutable_type()
                   ->mutable_tensor_type()
                   ->mutable_shape()
                   ->mutable_dim(1)
                   ->set_dim_value(1LL << 60);
             }),
             Contains("impossible"));
  CHECK_THAT(problem([](Model& m) {
               m.graph()
                   .mutable_input(0)
                   ->mutable_type()
                   ->mutable_tensor_type()
                   ->mutable_shape()
                   ->mutable_dim(1)
                   ->set_dim_param("s");
             }),
             Contains("--input-shape"));
  CHECK_THAT(problem([](Model& m) { Model::integer(*m.graph().mutable_node(0), "transA", 1); }),
             Contains("transA"));
  CHECK_THAT(problem([](Model& m) {
               m.real("b", {2}, {1, 2});
               m.graph().mutable_node(0)->add_input("b");
             }),
             Contains("bias"));
  CHECK_THAT(problem([](Model& m) {
               m.graph().mutable_node(0)->set_output(0, "p");
               m.node("Softmax", {"p"}, "s");
               m.real("v", {3, 3}, numbers(9, 1));
               m.node("MatMul", {"s", "v"}, "y");
             }),
             Contains("not at the end"));
  Model open({-1});
  open.real("w", {4, 3}, numbers(12, 1));
  open.node("MatMul", {"x", "w"}, "y");
  CHECK(open.load({{}, Shape{{4}}}).network.layers() == 1);
}

TEST_CASE("onnx: spoilt models are refused, or are networks") {
  const TemporaryDirectory directory;
  const auto path = directory.file("m.onnx");
  save_network(random_network("6-5-4-3", 2, true), path);
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  int refused = 0;
  for (std::uint32_t round = 0; round < 3000; ++round) {
    Stream stream(1, {1, round, 0});
    std::filesystem::remove(path);
    std::ofstream(path, std::ios::binary) << spoil(bytes, stream);
    try {
      const auto network = import_onnx(path).network;
      if (network.classes() < 2) FAIL("round " << round << " has no classes");
    } catch (const Error& error) {
      ++refused;
      if (error.code() != Exit::bad_input) FAIL("round " << round << ": " << error.what());
    } catch (const std::exception& error) {
      FAIL("round " << round << ": " << error.what());
    }
  }
  CHECK(refused > 300);
}
