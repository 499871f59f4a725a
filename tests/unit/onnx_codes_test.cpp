#include <cmath>
#include <functional>

#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <support/onnx_model.hpp>
#include <support/paths.hpp>

#include <temblor/formats/format.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/onnx.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

constexpr auto int8 = ::onnx::TensorProto::INT8;
constexpr auto uint8 = ::onnx::TensorProto::UINT8;
constexpr auto int32 = ::onnx::TensorProto::INT32;

/// x [4] -> dense of decoded codes [3 x 4] -> y
Model dense(const std::vector<float>& scale, const std::vector<int>& zero, ::onnx::TensorProto::DataType type,
            std::int64_t axis, bool transposed = false) {
  Model model;
  const int low = type == int8 ? -128 : 0;
  std::vector<int> values;
  for (int i = 0; i < 12; ++i) values.push_back(low + 23 * i);
  const Model::Sizes entries = scale.size() == 1 ? Model::Sizes{} : Model::Sizes{std::ssize(scale)};
  model.codes("q", transposed ? Model::Sizes{4, 3} : Model::Sizes{3, 4}, values, type);
  model.real("s", entries, scale);
  if (!zero.empty()) model.codes("z", entries, zero, type);
  auto& decode = model.node(
      "DequantizeLinear",
      zero.empty() ? std::vector<std::string>{"q", "s"} : std::vector<std::string>{"q", "s", "z"}, "w");
  Model::integer(decode, "axis", axis);
  if (transposed) {
    model.node("MatMul", {"x", "w"}, "y");
  } else {
    Model::integer(model.node("Gemm", {"x", "w"}, "y"), "transB", 1);
  }
  return model;
}

}  // namespace

TEST_CASE("onnx: decoded weights stay codes, with scales and zero points") {
  const auto codes = [](const Model& model) {
    const auto made = model.load();
    CHECK(made.notes.empty());
    const Encoded* encoded = made.network.codes(0);
    REQUIRE(encoded != nullptr);
    for (std::size_t i = 0; i < 12; ++i)
      CHECK(made.network.weights(0).weight.data()[i] == encoded->decode(i));
    return *encoded;
  };
  const Encoded plain = codes(dense({0.5F}, {}, int8, 1));
  CHECK(plain.format->name == "int8");
  CHECK(plain.codes[0] == 0x80);
  CHECK(plain.codes[11] == 125);
  CHECK(plain.decode(0) == -64);
  const Encoded rows = codes(dense({0.5F, 1, 2}, {0, 0, 0}, int8, 0));
  CHECK(rows.format->name == "int8-channel");
  CHECK(rows.decode(11) == 250);
  const Encoded affine = codes(dense({0.5F}, {3}, int8, 1));
  CHECK(affine.format->name == "int8-affine");
  CHECK(affine.decode(0) == -65.5F);
  const Encoded unsigned_rows = codes(dense({0.5F, 1, 2}, {3, 0, 255}, uint8, -2));
  CHECK(unsigned_rows.format->name == "uint8-channel");
  CHECK(unsigned_rows.decode(11) == -4);
  // A transposed matrix: the outputs are its columns.
  const Encoded columns = codes(dense({0.5F, 1, 2}, {3, 0, 255}, uint8, 1, true));
  CHECK(columns.format->name == "uint8-channel");
  CHECK(columns.codes[1] == 69);
  CHECK(columns.decode(1) == 33);
}

TEST_CASE("onnx: weights whose codes no format has are decoded, which is said") {
  const auto made = dense({0.5F, 1, 2, 4}, {0, 0, 0, 0}, int8, 1).load();
  CHECK(made.network.codes(0) == nullptr);
  REQUIRE(made.notes.size() == 1);
  CHECK(made.notes[0].find("codes are not kept") != std::string::npos);
  CHECK(made.network.weights(0).weight(0, 1) == -105);
}

TEST_CASE("onnx: 8-bit codes are written as codes and read again, bit for bit") {
  const TemporaryDirectory directory;
  const auto path = directory.file("q.onnx");
  for (const std::string format :
       {"int8", "int8-channel", "int8-affine", "int8-affine-channel", "uint8", "uint8-channel"}) {
    CAPTURE(format);
    const auto network = quantise(random_network("6-5-3", 1, true), find_format(format), {0, 1});
    save_network(network, path);
    const auto again = import_onnx(path);
    CHECK(again.notes.empty());
    CHECK(again.network.codes(1)->format->name == format);
    CHECK(again.network.id() == network.id());
    Network pictures({{2, 3, 3}}, {});
    const auto random = [](Index rows, Index columns) { return Matrix(Matrix::Random(rows, columns)); };
    pictures.add(make_layer("conv2d", {{"kernel", {2, 2}}}), {random(4, 8), random(4, 1)});
    pictures.add(make_layer("scale"), {random(4, 1), random(4, 1)});
    pictures.add(make_layer("scale"), {random(4, 1), {}});
    pictures.add(make_layer("flatten"));
    pictures.add(make_layer("dense"), {random(3, 16), {}});
    pictures = quantise(pictures, find_format(format), {0, 1, 2, 3});
    save_network(pictures, path);
    CHECK(import_onnx(path).network.id() == pictures.id());
  }
}

TEST_CASE("onnx: affine codes whose zero point is 0 stay affine") {
  const TemporaryDirectory directory;
  const auto path = directory.file("q.onnx");
  for (const std::string format : {"int8-affine", "int8-affine-channel"}) {
    CAPTURE(format);
    Network network({{2}}, {});
    network.add(make_layer("dense"), {Matrix::Constant(2, 2, 1.0F), {}});
    network = quantise(network, find_format(format), {0});
    Encoded codes = *network.codes(0);
    for (auto& zero : codes.zero_point) zero = 0;
    network.set_codes(0, codes);
    save_network(network, path);
    const auto again = import_onnx(path).network;
    CHECK(again.codes(0)->format->name == format);
    CHECK(again.id() == network.id());
  }
}

TEST_CASE("onnx: quantised operators compute with real activations within their limits") {
  Model model({1, 2, 2});
  model.real("one", {}, {0.5F});
  model.codes("zero", {}, {0}, uint8);
  model.node("QuantizeLinear", {"x", "one", "zero"}, "xq");
  model.codes("w", {2, 1, 1, 1}, {2, -4}, int8);
  model.real("ws", {2}, {0.25F, 0.5F});
  model.codes("wz", {2}, {0, 0}, int8);
  model.codes("b", {2}, {8, 100}, int32);
  model.real("ys", {}, {0.125F});
  model.node("QLinearConv", {"xq", "one", "zero", "w", "ws", "wz", "ys", "zero", "b"}, "cq");
  model.node("Flatten", {"cq"}, "fq");
  model.codes("m", {8, 2}, std::vector<int>(16, 1), int8);
  model.real("ms", {}, {0.5F});
  model.codes("mz", {}, {0}, int8);
  model.codes("yz", {}, {-128}, int8);
  model.node("QLinearMatMul", {"fq", "ys", "zero", "m", "ms", "mz", "one", "yz"}, "yq");
  model.node("DequantizeLinear", {"yq", "one", "yz"}, "y");
  const auto made = model.load();
  REQUIRE(made.notes.size() == 1);
  CHECK(made.notes[0].find("not rounded") != std::string::npos);
  CHECK(made.network.codes(0)->format->name == "int8-channel");
  CHECK(made.network.codes(1)->format->name == "int8");
  Matrix x(1, 4);
  x << -1, 1, 2, 200;
  // Clipped to 0 .. 127.5; times 0.5 and -2, plus 8 / 8 and 100 / 4; clipped to 0 .. 31.875.
  const double first = 1 + 1.5 + 2 + 31.875;
  const double second = 25 + 23 + 21 + 0;
  const Matrix y = logits_of(made.network, x);
  CHECK(y(0, 0) == Approx(0.5 * (first + second)));
  x(0, 3) = 0.25F;
  CHECK(logits_of(made.network, x)(0, 1) == Approx(0.5 * (1 + 1.5 + 2 + 1.125 + 25 + 23 + 21 + 24.5)));

  Model wrong = model;
  wrong.graph().mutable_node(1)->set_input(1, "ys");
  CHECK_THAT(wrong.problem(), Catch::Contains("the QLinearConv") && Catch::Contains("another scale"));
  wrong = model;
  wrong.graph().mutable_node(2)->set_op_type("Relu");
  CHECK_THAT(wrong.problem(), Catch::Contains("(Relu)") && Catch::Contains("quantised activations"));
}

TEST_CASE("onnx: codes that cannot be read are refused with the node and the reason") {
  const auto problem = [](const std::function<void(Model&)>& change) {
    Model model = dense({0.5F}, {0}, int8, 1);
    change(model);
    return model.problem();
  };
  const auto tensor = [](Model& model, const std::string& name) -> ::onnx::TensorProto& {
    for (auto& one : *model.graph().mutable_initializer())
      if (one.name() == name) return one;
    throw std::runtime_error(name);
  };
  using Catch::Contains;
  CHECK(problem([](Model&) {}) == "loaded");
  for (const float scale : {-1.0F, std::nanf(""), INFINITY}) {
    CHECK_THAT(problem([&](Model& m) { tensor(m, "s").set_float_data(0, scale); }),
               Contains("the DequantizeLinear") && Contains("a scale is not"));
  }
  CHECK_THAT(problem([&](Model& m) { tensor(m, "s").set_float_data(0, 1e38F); }),
             Contains("not a finite number"));
  CHECK_THAT(problem([&](Model& m) { tensor(m, "q").set_int32_data(3, 128); }),
             Contains("code is out of range"));
  CHECK_THAT(problem([&](Model& m) { tensor(m, "z").set_int32_data(0, -129); }), Contains("zero point"));
  CHECK_THAT(problem([&](Model& m) { tensor(m, "q").set_data_type(::onnx::TensorProto::BOOL); }),
             Contains("INT8, UINT8 or INT32"));
  CHECK_THAT(problem([&](Model& m) {
               tensor(m, "s").add_dims(2);
               tensor(m, "s").add_float_data(1);
             }),
             Contains("its scale is [2]"));
}
