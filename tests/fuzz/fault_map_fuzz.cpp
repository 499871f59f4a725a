#include "support/fuzz.hpp"
#include "support/lines.hpp"

#include <support/hdf5_text.hpp>

#include <temblor/perturb/fault_map.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::fuzz;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return mutate_lines(data, size, most, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Network network = multilayer_perceptron("4-3-2", "relu", true, {}, {{4}});
  static const StoredNetwork stored = store(network, find_format("int8"));
  const auto path = scratch("faults.h5");
  testing::write_hdf5({reinterpret_cast<const char*>(data), size}, path);
  judge([&] {
    const FaultMap map = read_fault_map(path, {stored.network, *stored.format, &network});
    const auto trials = map.trials().value_or(2);
    for (std::int64_t trial = 0; trial < std::min<std::int64_t>(trials, 2); ++trial) {
      const auto bits = map.drawn(Stream(1, {0, static_cast<std::uint32_t>(trial), 0}), 0.5, stored.codes);
      demand(bits.size() <= map.entries().size(), "no more faults than rows");
      flips_of(stored.codes, bits);
    }
  });
  return 0;
}
