#include <catch2/catch.hpp>
#include <support/hdf5_text.hpp>
#include <support/paths.hpp>
#include <support/refusal.hpp>

#include <temblor/base/error.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/network.hpp>

// What the fuzz targets (tests/fuzz) found, each as a test of its own.

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("network: scaling that cannot be is refused") {
  for (const InputScaling& scaling :
       {InputScaling{0, {0}, {1}}, InputScaling{1, {0}, {0}}, InputScaling{1, {0}, {-1}},
        InputScaling{1, {1, 2, 3}, {1}}, InputScaling{1, {1, 2}, {1, 2, 3, 4}}, InputScaling{1, {}, {1}}}) {
    INFO(scaling.text());
    CHECK_THAT(refusal([&] { Network({{8}}, scaling); }), Catch::Contains("scaling"));
  }
  CHECK(refusal([] { Network({{8}}, {1, {1, 2}, {3}}); }) == "taken");
  CHECK_THAT(refusal([] { Network({{3, 2, 2}}, {1, {1, 2}, {3}}); }), Catch::Contains("one a channel"));
}

TEST_CASE("network: sizes that no picture has are refused before memory is taken for them") {
  CHECK_THAT(refusal([] { Network({{1 << 14, 1 << 14}}, {}); }), Catch::Contains("2^26"));
  Network network({{1, 1, 1}}, {});
  CHECK_THAT(
      refusal([&] {
        const Weights one{Matrix::Ones(1, 1), {}};
        network.add(make_layer("conv2d", {{"kernel", {1, 1}}, {"padding", {1e7, 1e7, 1e7, 1e7}}}), one);
      }),
      Catch::Contains("2^26"));
  Network long_one({{1 << 25}}, {});
  for (int i = 0; i < 8; ++i) long_one.add(make_layer("relu"));
  CHECK_THAT(refusal([&] { long_one.add(make_layer("relu")); }), Catch::Contains("2^28"));
}

TEST_CASE("data: scaling of as many means as parts, but of other parts than deviations") {
  const InputScaling uneven{1, {1, 2}, {1, 2, 3, 4}};
  CHECK_THAT(refusal([&] { load_dataset({"synthetic:classes=2,features=8,n=10,seed=1"}, uneven); }),
             Catch::Contains("one a channel"));
}

TEST_CASE("hdf5: packed text that would fill the memory is refused before it is taken") {
  const TemporaryDirectory directory;
  const auto path = directory.file("text.h5");
  write_hdf5("set bomb text1 20000000 deflate:2000000\nset fine text4 3 deflate a bc def", path);
  const auto file = hdf5::File::open(path, hdf5::File::Mode::read);
  CHECK_THAT(refusal([&] { file.read_strings("bomb"); }), Catch::Contains("bomb"));
  CHECK(file.read_strings("fine") == std::vector<std::string>{"a", "bc", "def"});
}
