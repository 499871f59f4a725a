#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <thread>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <support/paths.hpp>
#include <sys/file.h>
#include <unistd.h>

#include <temblor/base/error.hpp>
#include <temblor/hdf5/digest.hpp>
#include <temblor/hdf5/file.hpp>

using namespace temblor;
using namespace temblor::hdf5;
using temblor::testing::TemporaryDirectory;

namespace {

template <class T>
std::vector<T> count_up(std::size_t n) {
  std::vector<T> values(n);
  std::iota(values.begin(), values.end(), T{0});
  return values;
}

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

template <class T>
void write(const Group& group, const std::string& name, const std::vector<T>& values, const Dims& dims,
           Layout layout = Layout::compressed) {
  group.write<T>(name, values, dims, layout);
}

}  // namespace

TEMPLATE_TEST_CASE("every element type survives the way to disk and back", "", float, double, std::int8_t,
                   std::uint8_t, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t) {
  const TemporaryDirectory directory;
  std::vector<TestType> values = {std::numeric_limits<TestType>::lowest(),
                                  std::numeric_limits<TestType>::max(), 0, 1};
  values.resize(6000, TestType{7});
  const auto path = directory.file("a.h5");
  {
    const File file = File::create(path);
    write(file, "deep/er/small", std::vector<TestType>(values.begin(), values.begin() + 4), {2, 2});
    write(file, "large", values, {3, 2000});
    write(file, "early", values, {6000}, Layout::early);
    write(file, "scalar", std::vector<TestType>{3}, {});
    write(file, "empty", std::vector<TestType>{}, {0, 5});
    file.set<TestType>("list", std::vector<TestType>{1, 2, 3}, "large");
    file.set<TestType>("one", std::vector<TestType>{values[1]});
    file.close();
  }
  const File file = File::open(path, File::Mode::read);
  CHECK(file.read<TestType>("deep/er/small") == std::vector<TestType>(values.begin(), values.begin() + 4));
  CHECK(file.group("deep").group("er").path() == "/deep/er");
  CHECK(file.group("deep/er").read<TestType>("small").size() == 4);
  CHECK(file.read<TestType>("large") == values);
  CHECK(file.read<TestType>("early") == values);
  CHECK(file.read<TestType>("scalar") == std::vector<TestType>{3});
  CHECK(file.read<TestType>("empty").empty());
  CHECK(file.dims("empty") == Dims{0, 5});
  CHECK(file.dims("scalar").empty());
  CHECK(*file.get<TestType>("list", "large") == std::vector<TestType>{1, 2, 3});
  CHECK(*file.get<TestType>("one") == std::vector<TestType>{values[1]});
  CHECK_FALSE(file.get<TestType>("none"));
  CHECK(file.read_slab<TestType>("large", {0, 1}, {1, 3}) ==
        std::vector<TestType>{values[1], values[2], values[3]});
  CHECK(file.children() == std::vector<std::string>{"deep", "early", "empty", "large", "scalar"});
}

TEST_CASE("slabs overwrite blocks of a prefilled dataset, and nothing else") {
  for (const auto layout : {Layout::early, Layout::compressed}) {
    const File file = File::in_memory("slabs");
    file.create<std::int32_t>("cells", {40, 50}, -1, layout);
    CHECK(file.read<std::int32_t>("cells") == std::vector<std::int32_t>(2000, -1));
    file.write_slab<std::int32_t>("cells", std::vector<std::int32_t>{1, 2, 3, 4}, {7, 10}, {2, 2});
    auto expected = std::vector<std::int32_t>(2000, -1);
    expected[360] = 1, expected[361] = 2, expected[410] = 3, expected[411] = 4;
    CHECK(file.read<std::int32_t>("cells") == expected);
    const std::vector<std::int32_t> two{1, 2};
    CHECK_THROWS_AS(file.write_slab<std::int32_t>("cells", two, {39, 49}, {1, 2}), Error);
    CHECK_THROWS_AS(file.write_slab<std::int32_t>("cells", two, {~std::uint64_t{0}, 0}, {1, 2}), Error);
    CHECK_THROWS_AS(file.write_slab<std::int32_t>("cells", two, {39}, {2}), Error);
    CHECK_THROWS_AS(file.read_slab<std::int32_t>("cells", {0, 0}, {41, 1}), Error);
  }
}

TEST_CASE("a slab written to an early dataset is in the file at once, metadata untouched") {
  const TemporaryDirectory directory;
  const auto path = directory.file("a.h5");
  { File::create(path).create<double>("cells", {1000}, std::nan("")); }
  const auto size = std::filesystem::file_size(path);
  const std::string before = bytes_of(path);
  const File file = File::open(path, File::Mode::update);
  file.write_slab<double>("cells", std::array{1.5, 2.5}, {10}, {2});
  file.flush();
  std::string after = bytes_of(path);
  REQUIRE(after.size() == size);
  std::size_t different = 0;
  for (std::size_t i = 0; i < size; ++i) different += before[i] != after[i] ? 1U : 0U;
  CHECK(different > 0);
  CHECK(different <= 2 * sizeof(double));
  // A copy taken now, as a kill would leave it, opens and holds the values.
  std::filesystem::copy_file(path, directory.file("copy.h5"));
  CHECK(File::open(directory.file("copy.h5"), File::Mode::read).read_slab<double>("cells", {10}, {2}) ==
        std::vector<double>{1.5, 2.5});
  file.sync();
}

TEST_CASE("equal contents give equal bytes") {
  const TemporaryDirectory directory;
  for (const auto* name : {"a.h5", "b.h5"}) {
    const File file = File::create(directory.file(name));
    stamp(file, "temblor-test", 1, 0);
    write(file, "x/large", count_up<float>(200000), {200, 1000});
    file.write_strings("names", {"one", "two"});
    file.close();
  }
  CHECK(bytes_of(directory.file("a.h5")) == bytes_of(directory.file("b.h5")));
  CHECK(std::filesystem::file_size(directory.file("a.h5")) < 400000);
}

TEST_CASE("text: attributes and datasets, any UTF-8, any length") {
  const TemporaryDirectory directory;
  const auto path = directory.file("a.h5");
  const std::vector<std::string> words = {"", "ε ≤ 10⁻³", std::string(100000, 'x')};
  {
    const File file = File::create(path);
    file.write_strings("words", words);
    for (std::size_t i = 0; i < words.size(); ++i) file.set_text("t" + std::to_string(i), words[i], "words");
    file.set_text("title", "first");
    file.set_text("title", "second");
  }
  const File file = File::open(path, File::Mode::read);
  CHECK(file.read_strings("words") == words);
  for (std::size_t i = 0; i < words.size(); ++i)
    CHECK(file.text("t" + std::to_string(i), "words") == words[i]);
  CHECK(file.text("title") == "second");
  CHECK_FALSE(file.text("none"));
  CHECK(file.attributes() == std::vector<std::string>{"title"});
}

TEST_CASE("numbers are converted, never bent") {
  const File file = File::in_memory("kinds");
  write<std::int64_t>(file, "wide", {1, 1LL << 40}, {2});
  write<double>(file, "real", {0.5, 1e300}, {2});
  write<std::int32_t>(file, "minus", {-1}, {1});
  file.write_strings("text", {"a"});
  CHECK(file.read<double>("wide") == std::vector<double>{1, 0x1p40});
  CHECK(file.read<std::uint64_t>("wide").back() == 1ULL << 40U);
  CHECK_THROWS_WITH(file.read<std::int32_t>("wide"), Catch::Contains("/wide") && Catch::Contains("kinds"));
  CHECK_THROWS_AS(file.read<std::uint8_t>("minus"), Error);
  CHECK_THROWS_WITH(file.read<float>("real"), Catch::Contains("out of range of float32"));
  write<double>(file, "infinite", {-INFINITY, INFINITY}, {2});
  CHECK(file.read<float>("infinite") == std::vector<float>{-INFINITY, INFINITY});
  CHECK_THROWS_WITH(file.read<std::int32_t>("real"), Catch::Contains("whole numbers are needed"));
  CHECK_THROWS_WITH(file.read<float>("text"), Catch::Contains("it holds text"));
  CHECK_THROWS_WITH(file.read_strings("real"), Catch::Contains("text is needed"));
  file.set<std::int64_t>("n", std::array<std::int64_t, 1>{300});
  file.set_text("t", "300");
  CHECK_THROWS_AS(file.get<std::uint8_t>("n"), Error);
  CHECK(file.get<float>("n")->front() == 300);
  CHECK_THROWS_AS(file.get<std::int32_t>("t"), Error);
  CHECK_THROWS_AS(file.text("n"), Error);
  CHECK(file.type("real") == "float64");
  CHECK(file.attribute_text("n") == "300");
}

TEST_CASE("missing objects are named") {
  const File file = File::in_memory("here.h5");
  write<float>(file, "a/b", {1}, {1});
  CHECK_THROWS_WITH(file.read<float>("a/c"), Catch::Contains("'/a/c' in 'here.h5'"));
  CHECK_THROWS_WITH(file.group("a").read<float>("c/d"), Catch::Contains("'/a/c/d' in 'here.h5'"));
  CHECK_THROWS_AS(file.group("x"), Error);
  CHECK_THROWS_AS(file.group("a/b"), Error);
  CHECK_THROWS_AS(file.read<float>("a"), Error);
  CHECK_THROWS_AS(file.read_strings("a"), Error);
  CHECK_THROWS_AS(file.text("t", "x/y"), Error);
  CHECK_THROWS_AS(file.set_text("t", "v", "x/y"), Error);
  CHECK_THROWS_AS(write<float>(file, "a/b", {1}, {1}), Error);
  CHECK(file.has("a/b"));
  CHECK_FALSE(file.has("a/b/c"));
  CHECK_FALSE(file.has("q/r"));
  CHECK(file.create_group("a").path() == "/a");
}

TEST_CASE("what cannot be opened says why and what to do") {
  const TemporaryDirectory directory;
  const auto code_of = [](auto&& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code();
    }
    return Exit::ok;
  };
  CHECK_THROWS_WITH(File::open(directory.file("none.h5"), File::Mode::read), Catch::Contains("No such file"));
  CHECK_THROWS_WITH(File::open(directory.path(), File::Mode::read), Catch::Contains("not a file"));
  CHECK_THROWS_WITH(File::create(directory.file("no/dir.h5")), Catch::Contains("does not exist"));
  std::ofstream(directory.file("text.h5")) << "hello";
  std::ofstream(directory.file("empty.h5")).flush();
  CHECK_THROWS_WITH(File::open(directory.file("text.h5"), File::Mode::read),
                    Catch::Contains("not an HDF5 file"));
  CHECK_THROWS_AS(File::open(directory.file("empty.h5"), File::Mode::read), Error);
  CHECK(code_of([&] { File::open(directory.file("none.h5"), File::Mode::read); }) == Exit::bad_input);

  const auto path = directory.file("a.h5");
  write(File::create(path), "values", count_up<float>(5000), {5000});
  const std::string whole = bytes_of(path);
  for (std::size_t size = 0; size < whole.size(); size += 97) {
    std::ofstream(path, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(size));
    CHECK_THROWS_AS(File::open(path, File::Mode::read), Error);
  }
}

TEST_CASE("a file that another program holds for writing may be read, not written") {
  const TemporaryDirectory directory;
  const auto path = directory.file("a.h5");
  write(File::create(path), "v", count_up<float>(10), {10});
  const int other = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::flock(other, LOCK_EX | LOCK_NB) == 0);
  CHECK_THROWS_WITH(File::open(path, File::Mode::update), Catch::Contains("another program is writing"));
  CHECK(File::open(path, File::Mode::read).read<float>("v").size() == 10);
  ::close(other);
  CHECK_NOTHROW(File::open(path, File::Mode::update));
}

TEST_CASE("a claimed size that the file cannot hold is refused before memory is taken") {
  const TemporaryDirectory directory;
  const auto path = directory.file("a.h5");
  {
    const File file = File::create(path);
    file.create<float>("sparse", {std::uint64_t{1} << 32U, 16}, 0, Layout::compressed);
    file.create<float>("small", {100}, 0, Layout::compressed);
  }
  const File file = File::open(path, File::Mode::read);
  CHECK_THROWS_WITH(file.read<float>("sparse", ~std::uint64_t{0}), Catch::Contains("can hold"));
  CHECK_THROWS_WITH(file.read<float>("sparse", 1000), Catch::Contains("more than 1000 elements"));
  CHECK(file.read<float>("small").size() == 100);
}

TEST_CASE("dimension scales attach, and the digest does not depend on them or on the layout") {
  const auto build = [](Layout layout, bool scales, float last, const std::string& when) {
    const File file = File::in_memory("digest");
    auto values = count_up<float>(2000);
    values.back() = last;
    write(file, "y", values, {4, 500}, layout);
    write<double>(file, "eps", {1, 2, 3, 4}, {4});
    file.write_strings("names", {"a", "bc"});
    file.set_text("unit", "1", "eps");
    write<std::int64_t>(file, "provenance/when", {static_cast<std::int64_t>(when.size())}, {1});
    file.set_text("host", when, "provenance");
    if (scales) file.attach_scale("y", 0, "eps", "eps");
    return content_digest(file);
  };
  const auto digest = build(Layout::early, false, 1, "now");
  CHECK(digest.size() == 64);
  CHECK(build(Layout::compressed, false, 1, "then, later") == digest);
  CHECK(build(Layout::compressed, true, 1, "now") == build(Layout::early, true, 1, "then"));
  CHECK(build(Layout::early, false, 2, "now") != digest);
}

TEST_CASE("stamps: kind and major version are checked, minor is not") {
  const File file = File::in_memory("stamped");
  CHECK_THROWS_WITH(check_stamp(file, "temblor-network", 1), Catch::Contains("no attribute 'filetype'"));
  stamp(file, "temblor-network", 1, 7);
  CHECK_NOTHROW(check_stamp(file, "temblor-network", 1));
  CHECK_THROWS_WITH(check_stamp(file, "temblor-network", 2),
                    Catch::Contains("1.7") && Catch::Contains("2.x"));
  CHECK_THROWS_WITH(check_stamp(file, "temblor-result", 1), Catch::Contains("temblor-network"));
}

TEST_CASE("threads may use the same file at once") {
  const File file = File::in_memory("threads");
  file.create<std::int32_t>("cells", {8, 100}, -1);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&file, t] {
      for (std::uint64_t i = 0; i < 100; ++i) {
        const std::array<std::int32_t, 1> value{static_cast<std::int32_t>(100 * t + i)};
        file.write_slab<std::int32_t>("cells", value, {t, i}, {1, 1});
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(file.read<std::int32_t>("cells") == count_up<std::int32_t>(800));
}
