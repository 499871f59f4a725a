#include "support/fuzz.hpp"
#include "support/lines.hpp"

using namespace temblor;
using namespace temblor::fuzz;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return mutate_lines(data, size, most, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = scratch("images.csv");
  write_file(path, {reinterpret_cast<const char*>(data), size});
  judge([&] { read_images_of(path); });
  return 0;
}
