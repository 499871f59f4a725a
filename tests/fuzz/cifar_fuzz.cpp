#include "support/fuzz.hpp"

using namespace temblor;
using namespace temblor::fuzz;

/// Byte 0: 0 a plain file, 1 the bytes as they are under a name of gz, else packed. The file follows.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto path = scratch(data[0] == 0 ? "test_batch.bin" : "test_batch.bin.gz");
  write_file(path, data[0] > 1 ? gz(bytes) : std::string(bytes));
  judge([&] { read_images_of("cifar10:" + path); });
  return 0;
}
