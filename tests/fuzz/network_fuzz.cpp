#include "support/fuzz.hpp"
#include "support/lines.hpp"

#include <support/hdf5_text.hpp>

#include <temblor/network/file.hpp>

using namespace temblor;
using namespace temblor::fuzz;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return mutate_lines(data, size, most, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = scratch("network.h5");
  testing::write_hdf5({reinterpret_cast<const char*>(data), size}, path);
  judge([&] {
    const Network network = load_network(path);
    examine(network);
  });
  return 0;
}
