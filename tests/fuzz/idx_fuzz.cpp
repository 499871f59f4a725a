#include "support/fuzz.hpp"

#include <algorithm>
#include <filesystem>

using namespace temblor;
using namespace temblor::fuzz;

namespace {

/// Writes `bytes` plain, as they are under a name of gz, or packed, and returns the name.
std::string put(const std::string& name, unsigned way, std::string_view bytes) {
  for (const auto* end : {"", ".gz"}) std::filesystem::remove(scratch(name + end));
  const std::string path = scratch(name + (way == 0 ? "" : ".gz"));
  write_file(path, way == 2 ? gz(bytes) : bytes);
  return path;
}

}  // namespace

/// Byte 0: how images (bits 0, 1) and labels (2, 3) are stored, and (4) whether the directory is given. Bytes
/// 1 and 2: size of the labels' file, little-endian; the labels follow, then the images.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 3, size - 3);
  const std::size_t labels = std::min<std::size_t>(data[1] + 256U * data[2], rest.size());
  const auto images = put("t10k-images-idx3-ubyte", data[0] & 3U, rest.substr(labels));
  put("t10k-labels-idx1-ubyte", (data[0] >> 2U) & 3U, rest.substr(0, labels));
  judge([&] { read_images_of("idx:" + ((data[0] & 16U) != 0 ? scratch("") : images)); });
  return 0;
}
