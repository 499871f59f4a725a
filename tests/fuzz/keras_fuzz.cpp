#include "support/fuzz.hpp"
#include "support/lines.hpp"

#include <support/hdf5_text.hpp>

#include <temblor/network/keras.hpp>

using namespace temblor;
using namespace temblor::fuzz;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return mutate_lines(data, size, most, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = scratch("model.h5");
  testing::write_hdf5({reinterpret_cast<const char*>(data), size}, path);
  judge([&] { hdf5_kind(path); });
  judge([&] { examine(import_keras(path).network); });
  return 0;
}
