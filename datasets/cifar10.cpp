#include "readers.hpp"

#include <array>
#include <filesystem>

#include <temblor/base/error.hpp>
#include <temblor/data/byte_file.hpp>

namespace temblor {
namespace {

constexpr std::size_t picture = 3 * 32 * 32;
constexpr std::size_t record = 1 + picture;   // label, then red, green, blue planes
constexpr std::size_t most_records = 100000;  // of one file; the real ones have 10,000

std::vector<std::string> names_of(Split split) {
  if (split == Split::test) return {"test_batch.bin"};
  std::vector<std::string> names;
  for (int i = 1; i <= 5; ++i) names.push_back("data_batch_" + std::to_string(i) + ".bin");
  return names;
}

/// All files of the split, or none. The archive's own directory name is looked into as well.
std::vector<std::string> find_files(const std::string& directory, Split split) {
  for (const auto& place : {directory, directory + "/cifar-10-batches-bin"}) {
    std::vector<std::string> files;
    for (const auto& name : names_of(split)) {
      const std::string file = plain_or_gz(place + "/" + name);
      if (!file.empty()) files.push_back(file);
    }
    if (files.size() == names_of(split).size()) return files;
  }
  return {};
}

void read_batch(const std::string& path, std::vector<std::uint8_t>& pictures,
                std::vector<std::int32_t>& labels) {
  ByteFile file(path);
  std::array<std::uint8_t, record> bytes{};
  for (std::size_t i = 0;; ++i) {
    const std::size_t got = file.read(bytes);
    if (got == 0 && i > 0) return;
    if (got < record) {
      input_error("'" + path + "'",
                  "not a CIFAR-10 file: its size is no multiple of " + std::to_string(record) + " bytes",
                  "fetch the binary version again");
    }
    if (i == most_records) {
      input_error("'" + path + "'", "more than " + std::to_string(most_records) + " pictures",
                  "give a CIFAR-10 batch");
    }
    if (bytes[0] > 9) {
      input_error(
          "'" + path + "'",
          "not a CIFAR-10 file: label " + std::to_string(bytes[0]) + " of picture " + std::to_string(i),
          "fetch the binary version again");
    }
    labels.push_back(bytes[0]);
    pictures.insert(pictures.end(), bytes.begin() + 1, bytes.end());
  }
}

}  // namespace

bool holds_cifar10(const std::string& directory, Split split) {
  return !find_files(directory, split).empty();
}

RawImages read_cifar10(const std::string& path, Split split) {
  RawImages raw;
  raw.shape = {{3, 32, 32}};
  std::error_code ignored;
  raw.files =
      std::filesystem::is_directory(path, ignored) ? find_files(path, split) : std::vector<std::string>{path};
  if (raw.files.empty()) {
    input_error("no CIFAR-10 files in '" + path + "'", "",
                "put data_batch_1.bin to data_batch_5.bin or test_batch.bin there");
  }
  std::vector<std::uint8_t> pictures;
  for (const auto& file : raw.files) read_batch(file, pictures, raw.labels);
  raw.bytes = true;
  resize_images(raw.values, raw.labels.size(), picture, path);
  std::copy(pictures.begin(), pictures.end(), raw.values.data());
  return raw;
}

}  // namespace temblor
