#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>

#include <catch2/catch.hpp>
#include <support/hostile.hpp>
#include <support/paths.hpp>
#include <zlib.h>

#include <temblor/base/error.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

void put(const std::string& path, const std::string& bytes) {
  std::filesystem::remove(path);  // truncating a file in place makes some file systems wait for the disk
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string gz(const std::string& bytes) {
  const TemporaryDirectory directory;
  const auto path = directory.file("x.gz");
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

const std::string idx_labels{0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1};

std::string idx_images() {
  return std::string{0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3} + "abcdefghijklmnopqrstuvwx";
}

/// Loads `rounds` spoilt copies of `bytes` from `path`: each must load or be refused by temblor::Error.
void survive(const std::string& path, const std::string& bytes, const std::string& set, int rounds) {
  put(path, bytes);
  REQUIRE_NOTHROW(load_dataset({set}, {}));
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    Stream stream(1, {0, static_cast<std::uint32_t>(round), 0});
    put(path, spoil(bytes, stream));
    try {
      load_dataset({set}, {});
    } catch (const Error& error) {
      ++refused;
      if (error.code() != Exit::bad_input) FAIL("round " << round << ": " << error.what());
    } catch (const std::exception& error) {
      FAIL("round " << round << ": " << error.what());
    }
  }
  CHECK(refused > rounds / 10);
}

}  // namespace

TEST_CASE("spoilt IDX files load or are refused") {
  const TemporaryDirectory directory;
  put(directory.file("t10k-labels-idx1-ubyte"), idx_labels);
  survive(directory.file("t10k-images-idx3-ubyte"), idx_images(), "idx:" + directory.path(), 3000);
  survive(directory.file("t10k-labels-idx1-ubyte"), idx_labels, "idx:" + directory.path(), 3000);
}

TEST_CASE("spoilt gz files load or are refused") {
  const TemporaryDirectory directory;
  put(directory.file("t10k-labels-idx1-ubyte"), idx_labels);
  survive(directory.file("t10k-images-idx3-ubyte.gz"), gz(idx_images()), "idx:" + directory.path(), 3000);
  survive(directory.file("a.csv.gz"), gz("label,x,y\n0,1,2\n1,3,4\n"), directory.file("a.csv.gz"), 3000);
}

TEST_CASE("spoilt CSV files load or are refused") {
  const TemporaryDirectory directory;
  survive(directory.file("a.csv"), "label,x,y\n0,1.5,2e3\n1,-3,4\n2,0.25,7\n", directory.file("a.csv"), 5000);
  survive(directory.file("b.csv"), "0,1.5,2e3\r\n1,-3,4\r\n2,0.25,7\r\n", directory.file("b.csv"), 5000);
}

TEST_CASE("spoilt CIFAR-10 files load or are refused") {
  const TemporaryDirectory directory;
  const std::string bytes =
      std::string(1, 3) + std::string(3072, 'p') + std::string(1, 4) + std::string(3072, 'q');
  survive(directory.file("a.bin"), bytes, directory.file("a.bin"), 1000);
  survive(directory.file("a.bin.gz"), gz(bytes), directory.file("a.bin.gz"), 1000);
}
