#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/data/dataset.hpp>

using namespace temblor;
using Catch::Contains;

namespace {

const std::string set = "synthetic:classes=3,features=4,n=30,seed=5";
const InputScaling raw{1.0, {0.0}, {1.0}};

std::vector<std::int64_t> rows(const std::string& select) {
  return load_dataset({set, Split::test, "", select}, raw).index;
}

Network tiny(const Shape& input, Index classes) {
  Network network(input, raw);
  network.add(make_layer("dense"), {Matrix::Zero(classes, input.size()), {}});
  return network;
}

}  // namespace

TEST_CASE("selections pick the rows they say") {
  CHECK(rows("all").size() == 30);
  CHECK(rows("first:3") == std::vector<std::int64_t>{0, 1, 2});
  CHECK(rows("range:28:30") == std::vector<std::int64_t>{28, 29});
  CHECK(rows("stratified:6") == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5});
  const std::vector<std::int32_t> labels{0, 0, 0, 1, 1, 0, 2, 1, 2};
  CHECK(select_images("stratified:6", labels, 3) == std::vector<std::int64_t>{0, 1, 3, 4, 6, 8});
  const auto random = rows("random:10:3");
  CHECK(random.size() == 10);
  CHECK(std::is_sorted(random.begin(), random.end()));
  CHECK(std::set(random.begin(), random.end()).size() == 10);
  CHECK(random == rows("random:10:3"));
  CHECK(random != rows("random:10:4"));
  CHECK(rows("random:10") == rows("random:10:0"));
  CHECK(rows("random:30").size() == 30);
}

TEST_CASE("a selected row is the row of the whole set") {
  const Dataset all = load_dataset({set}, raw);
  const Dataset part = load_dataset({set, Split::test, "", "random:7:1"}, raw);
  REQUIRE(part.size() == 7);
  for (Index i = 0; i < part.size(); ++i) {
    const auto at = part.index[static_cast<std::size_t>(i)];
    CHECK(part.images.row(i) == all.images.row(at));
    CHECK(part.labels[static_cast<std::size_t>(i)] == all.labels[static_cast<std::size_t>(at)]);
  }
  CHECK(part.classes == all.classes);
  CHECK(part.id != all.id);
}

TEST_CASE("wrong selections are usage errors that say what to write") {
  for (const auto* text :
       {"",        "first",     "first:",      "first:0",    "first:-1",     "first:31",     "first:1:2",
        "range:3", "range:5:5", "range:5:4",   "range:-1:4", "range:0:31",   "stratified:4", "stratified:33",
        "random",  "random:31", "random:3:-1", "random:3:x", "random:3:1:1", "all:1",        "frist:3"}) {
    CAPTURE(text);
    try {
      rows(text);
      FAIL_CHECK("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == Exit::usage);
    }
  }
  CHECK_THROWS_WITH(rows("frist:3"), Contains("did you mean 'first'?"));
  CHECK_THROWS_WITH(rows("stratified:4"), Contains("multiple of 3"));
  CHECK_THROWS_WITH(rows("first:31"), Contains("30 images"));
  CHECK_THROWS_WITH(select_images("stratified:3", {0, 0, 1, 1}, 3), Contains("class 2 has 0 images"));
}

TEST_CASE("scaling: bytes to inputs, by channel where there are several") {
  const Dataset plain = load_dataset({set}, raw);
  const Dataset scaled = load_dataset({set}, {1.0 / 255, {0.25}, {0.5}});
  const Dataset halves = load_dataset({set}, {1.0, {1.0, 2.0}, {1.0, 4.0}});
  for (Index i = 0; i < plain.size(); ++i) {
    for (Index f = 0; f < 4; ++f) {
      CHECK(scaled.images(i, f) == static_cast<float>((plain.images(i, f) * (1.0 / 255) - 0.25) / 0.5));
      const float expected = f < 2 ? plain.images(i, f) - 1 : (plain.images(i, f) - 2) / 4;
      CHECK(halves.images(i, f) == expected);
    }
  }
  CHECK(scaled.id != plain.id);
  CHECK_THROWS_WITH(load_dataset({set}, {1.0, {0, 0, 0}, {1}}), Contains("3 channels"));
}

TEST_CASE("data and network that do not belong together are refused, naming both") {
  const Dataset data = load_dataset({set}, raw);
  CHECK_NOTHROW(check_fits(tiny({{4}}, 3), "net.h5", data));
  CHECK_NOTHROW(check_fits(tiny({{2, 2}}, 3), "net.h5", data));
  CHECK_NOTHROW(check_fits(tiny({{4}}, 5), "net.h5", data));
  CHECK_THROWS_WITH(check_fits(tiny({{5}}, 3), "net.h5", data), Contains("net.h5") && Contains(set));
  CHECK_THROWS_WITH(check_fits(tiny({{1, 2, 2}}, 3), "net.h5", data), Contains("1x2x2"));
  CHECK_THROWS_WITH(check_fits(tiny({{4}}, 2), "net.h5", data), Contains("2 classes"));
}
