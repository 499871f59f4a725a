#include "fuzz.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <unistd.h>
#include <zlib.h>

#include <temblor/network/file.hpp>

namespace temblor::fuzz {
namespace {

constexpr Index most_work = 1 << 16;  // products of one forward pass, and values of a node's output

/// Whether a forward pass of one image is cheap: weights and outputs count, once a position of the output.
bool small(const Network& network) {
  Index work = network.input().size();
  for (const auto& node : network.nodes()) {
    const Index units = node.shape.size();
    const Index rows = node.weights < 0 ? 1 : network.weights(node.weights).weight.rows();
    const Index weights = node.weights < 0 ? 1 : network.weights(node.weights).weight.size();
    if (units > most_work || weights > most_work) return false;
    work += units / std::max<Index>(1, rows) * weights + units;
    if (work > most_work) return false;
  }
  return true;
}

struct Directory {
  std::string path =
      (std::filesystem::temp_directory_path() / "temblor-fuzz-").string() + std::to_string(::getpid()) + "/";

  Directory() { std::filesystem::create_directories(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

void judge(const std::function<void()>& read, Exit refusal) {
  static const bool show = std::getenv("FUZZ_SHOW") != nullptr;
  try {
    read();
    if (show) std::fprintf(stderr, "taken\n");
  } catch (const Error& error) {
    if (show) std::fprintf(stderr, "refused: %s\n", error.what());
    if (error.code() == refusal && error.what()[0] != '\0') return;
    std::fprintf(stderr, "error with exit code %d: %s\n", static_cast<int>(error.code()), error.what());
    std::abort();
  }
}

void demand(bool kept, std::string_view promise) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

std::string scratch(const std::string& name) {
  static const Directory directory;
  return directory.path + name;
}

void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string gz(std::string_view bytes) {
  z_stream stream{};
  demand(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib starts");
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  demand(deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib packs everything");
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

void read_images_of(const std::string& set, Split split) {
  const RawImages raw = read_images({set, split});
  demand(raw.values.rows() == static_cast<Index>(raw.labels.size()), "one label an image");
  demand(raw.values.cols() == raw.shape.size(), "images of one shape");
  for (const auto label : raw.labels) demand(label >= 0 && label < raw.classes, "labels are classes");
  for (const float value : raw.values.reshaped()) demand(std::isfinite(value), "values are finite");
}

void examine(const Network& network) {
  demand(!network.summary().empty(), "a network has a summary");
  demand(network.classes() >= 2 && network.layers() >= 1, "a network is a classifier");
  if (!small(network)) return;
  const Matrix image = Matrix::Zero(1, network.input().size());
  demand(logits(network, network.view(), image).cols() == network.classes(), "logits of each class");
  const auto path = scratch("again.h5");
  save_network(network, path);
  demand(load_network(path).id() == network.id(), "a native file gives the same network");
}

}  // namespace temblor::fuzz
