#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <catch2/catch.hpp>
#include <support/hostile.hpp>
#include <support/paths.hpp>
#include <support/python.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <temblor/base/error.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/hdf5/crash.hpp>
#include <temblor/hdf5/digest.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/keras.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

enum class End { fine, wrong_error, explained, crashed };

/// Runs rounds [first, last) of `read` on spoilt copies in a child process, where HDF5's own code may crash
/// on a damaged file. Returns how it ended and the round where.
std::pair<End, int> in_child(const std::string& path, const std::string& bytes,
                             void (*read)(const std::string&), int first, int last) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    hdf5::explain_crashes();
    ::close(STDERR_FILENO);
    for (int round = first; round < last; ++round) {
      if (::write(ends[1], &round, sizeof round) < 0) ::_exit(2);
      ::alarm(2);
      Stream stream(7, {0, static_cast<std::uint32_t>(round), 0});
      std::filesystem::remove(path);
      std::ofstream(path, std::ios::binary) << spoil(bytes, stream);
      try {
        read(path);
      } catch (const Error& error) {
        if (error.code() != Exit::bad_input) ::_exit(1);
      } catch (...) {
        ::_exit(1);
      }
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  int round = first;
  while (::read(ends[0], &round, sizeof round) == static_cast<ssize_t>(sizeof round)) {
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return {End::crashed, round};
  if (WEXITSTATUS(status) == static_cast<int>(Exit::bad_input)) return {End::explained, round};
  return {WEXITSTATUS(status) == 0 ? End::fine : End::wrong_error, round};
}

/// Each round must load, or refuse as bad input; a crash of HDF5 itself must be explained, save for the rare
/// ones where it spoils the heap or never ends.
void survive(const std::string& path, void (*read)(const std::string&), int rounds) {
#ifdef __SANITIZE_ADDRESS__
  std::cout << "skipped: AddressSanitizer ends the process at HDF5's own reads beyond its buffers\n";
  return;
#endif
  const std::string bytes = bytes_of(path);
  int explained = 0;
  int crashed = 0;
  for (int first = 0; first < rounds;) {
    const auto [end, round] = in_child(path, bytes, read, first, rounds);
    if (end == End::wrong_error) FAIL("round " << round << ": neither loaded nor refused as bad input");
    if (end == End::fine) break;
    ++(end == End::explained ? explained : crashed);
    first = round + 1;
  }
  std::cout << "HDF5 itself crashed on " << explained + crashed << " of " << rounds << " spoilt files, "
            << explained << " of them explained\n";
  CHECK(crashed * 200 <= rounds);
  CHECK(explained * 50 <= rounds);
}

}  // namespace

TEST_CASE("spoilt network files load or are refused") {
  const TemporaryDirectory directory;
  Network network({{1, 2, 3}}, {});
  network.add(make_layer("dense"), {Matrix::Random(4, 6), Vector::Random(4)});
  network.add(make_layer("relu"));
  network.add(make_layer("dense"), {Matrix::Random(3, 4), {}});
  const auto path = directory.file("net.h5");
  save_network(network, path);
  survive(
      path, [](const std::string& file) { static_cast<void>(load_network(file)); }, 1000);
}

TEST_CASE("spoilt files of stored codes load or are refused") {
  const TemporaryDirectory directory;
  Network network({{1, 2, 3}}, {});
  network.add(make_layer("dense"), {Matrix::Random(4, 6), Vector::Random(4)});
  network.add(make_layer("dense"), {Matrix::Random(3, 4), {}});
  const auto path = directory.file("net.h5");
  save_network(quantise(quantise(network, find_format("int4-affine-channel"), {0}), find_format("bf16"), {1}),
               path);
  survive(
      path, [](const std::string& file) { static_cast<void>(load_network(file)); }, 1000);
}

TEST_CASE("spoilt HDF5 data files load or are refused") {
  const TemporaryDirectory directory;
  const auto path = directory.file("data.h5");
  {
    const hdf5::File file = hdf5::File::create(path);
    std::vector<float> images(2000);
    for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<float>(i % 97);
    file.write<float>("images", images, {20, 100});
    file.write<std::int64_t>("labels", std::vector<std::int64_t>(20, 1), {20});
    file.write_strings("names", {"a", "b"});
    file.close();
  }
  survive(
      path,
      [](const std::string& file) {
        load_dataset({file}, {});
        hdf5::content_digest(hdf5::File::open(file, hdf5::File::Mode::read));
      },
      1000);
}

TEST_CASE("spoilt Keras files load or are refused") {
  const std::string python = python_with_h5py();
  if (python.empty()) return;
  const TemporaryDirectory directory;
  std::ofstream(directory.file("make.py"))
      << "import sys\nsys.dont_write_bytecode = True\nsys.path.insert(0, '" << source_dir()
      << "/tests/support')\n"
      << "import keras_models\nkeras_models.main('" << directory.path() << "')\n";
  REQUIRE(std::system((python + " '" + directory.file("make.py") + "'").c_str()) == 0);
  for (const std::string name : {"open_end.h5", "graph3.h5"}) {
    survive(
        directory.file(name), [](const std::string& file) { static_cast<void>(import_keras(file)); }, 300);
  }
}

TEST_CASE("a group that contains itself is refused, not followed for ever") {
  const std::string python = python_with_h5py();
  if (python.empty()) return;
  const TemporaryDirectory directory;
  const auto path = directory.file("loop.h5");
  const std::string lines = "import h5py; f = h5py.File(\"" + path + "\", \"w\"); f[\"a/b\"] = f[\"/\"]";
  REQUIRE(std::system((python + " -c '" + lines + "'").c_str()) == 0);
  CHECK_THROWS_WITH(hdf5::content_digest(hdf5::File::open(path, hdf5::File::Mode::read)),
                    Catch::Contains("nest too deeply"));
}
