#include "readers.hpp"

#include <array>
#include <filesystem>

#include <temblor/base/error.hpp>
#include <temblor/data/byte_file.hpp>

namespace temblor {
namespace {

const std::array<std::string, 2> image_names{"-images-idx3-ubyte", "-images.idx3-ubyte"};

/// Images and labels of one split.
struct Pair {
  std::string images;
  std::string labels;
};

/// "x-images-idx3-ubyte.gz" -> "x-labels-idx1-ubyte", gz or not; "" when the name has no such part or no such
/// file is.
std::string labels_of(const std::string& images) {
  std::string name = images;
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  const auto directory = std::filesystem::path(name).parent_path();
  std::string file = std::filesystem::path(name).filename().string();
  const auto replace = [&](const std::string& from, const std::string& to) {
    const auto at = file.rfind(from);
    if (at != std::string::npos) file.replace(at, from.size(), to);
    return at != std::string::npos;
  };
  if (!replace("images", "labels")) return "";
  replace("idx3", "idx1");
  return plain_or_gz((directory / file).string());
}

Pair find_pair(const std::string& directory, Split split) {
  const std::vector<std::string> stems =
      split == Split::train ? std::vector<std::string>{"train"} : std::vector<std::string>{"t10k", "test"};
  for (const auto& stem : stems) {
    for (const auto& name : image_names) {
      const std::string images = plain_or_gz(directory + "/" + stem + name);
      if (images.empty()) continue;
      const std::string labels = labels_of(images);
      if (!labels.empty()) return {images, labels};
    }
  }
  return {};
}

/// Reads the header of an IDX file of unsigned bytes: magic 0, 0, 8, rank, then sizes as big-endian 32-bit
/// numbers.
std::vector<std::uint64_t> read_header(ByteFile& file, std::uint8_t least_rank, std::uint8_t most_rank) {
  std::array<std::uint8_t, 4> magic{};
  file.read_all(magic, "its header");
  const std::string cure = "check the path, or fetch the file again";
  if (magic[0] != 0 || magic[1] != 0)
    input_error("'" + file.path() + "'", "not an IDX file: wrong magic number", cure);
  if (magic[2] != 8) {
    input_error("'" + file.path() + "'",
                "IDX element type " + std::to_string(magic[2]) + " is not unsigned byte (8)", cure);
  }
  if (magic[3] < least_rank || magic[3] > most_rank) {
    input_error("'" + file.path() + "'",
                "it has " + std::to_string(magic[3]) + " dimensions; " +
                    (most_rank == 1 ? "labels have 1" : "images have 2 to 4"),
                cure);
  }
  std::vector<std::uint64_t> sizes;
  std::uint64_t bytes = 1;
  for (std::uint8_t d = 0; d < magic[3]; ++d) {
    std::array<std::uint8_t, 4> size{};
    file.read_all(size, "its header");
    sizes.push_back((std::uint64_t{size[0]} << 24U) | (std::uint64_t{size[1]} << 16U) |
                    (std::uint64_t{size[2]} << 8U) | size[3]);
    if (sizes.back() == 0)
      input_error("'" + file.path() + "'", "dimension " + std::to_string(d) + " is 0", cure);
    if (sizes.back() > file.most() / bytes) {
      input_error("'" + file.path() + "'", "its header claims more than a file of this size can hold", cure);
    }
    bytes *= sizes.back();
  }
  return sizes;
}

void read_values(ByteFile& file, Matrix& values) {
  std::vector<std::uint8_t> row(static_cast<std::size_t>(values.cols()));
  for (Index i = 0; i < values.rows(); ++i) {
    file.read_all(row, "image " + std::to_string(i));
    float* out = values.row(i).data();
    for (const std::uint8_t byte : row) *out++ = static_cast<float>(byte);
  }
  file.expect_end();
}

}  // namespace

bool holds_idx(const std::string& directory, Split split) {
  return !find_pair(directory, split).images.empty();
}

RawImages read_idx(const std::string& path, Split split) {
  Pair pair;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    pair = find_pair(path, split);
    if (pair.images.empty()) {
      input_error("no IDX images with labels in '" + path + "'", "",
                  "put t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte there, or train-..., .gz or not");
    }
  } else {
    pair = {path, labels_of(path)};
    if (pair.labels.empty() || pair.labels == path) {
      ByteFile exists(path);
      input_error("'" + path + "' has no labels beside it", "a file of images is named ...-images-idx3-ubyte",
                  "put the labels in a file of the same name with labels-idx1 for images-idx3");
    }
  }
  RawImages raw;
  raw.files = {pair.images, pair.labels};
  ByteFile images(pair.images);
  const auto sizes = read_header(images, 2, 4);
  // A picture without channels is a picture with one.
  if (sizes.size() == 3) raw.shape.dims.push_back(1);
  for (std::size_t d = 1; d < sizes.size(); ++d) raw.shape.dims.push_back(static_cast<Index>(sizes[d]));

  ByteFile labels(pair.labels);
  const auto count = read_header(labels, 1, 1);
  if (count[0] != sizes[0]) {
    input_error("'" + pair.images + "' has " + std::to_string(sizes[0]) + " images",
                "'" + pair.labels + "' has " + std::to_string(count[0]) + " labels",
                "give files that belong together");
  }
  std::vector<std::uint8_t> bytes(count[0]);
  labels.read_all(bytes, "the labels");
  labels.expect_end();
  raw.labels.assign(bytes.begin(), bytes.end());
  raw.bytes = true;
  resize_images(raw.values, sizes[0], static_cast<std::uint64_t>(raw.shape.size()), pair.images);
  read_values(images, raw.values);
  return raw;
}

}  // namespace temblor
