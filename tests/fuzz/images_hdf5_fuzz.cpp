#include "support/fuzz.hpp"
#include "support/lines.hpp"

#include <support/hdf5_text.hpp>

#include <temblor/hdf5/digest.hpp>
#include <temblor/hdf5/file.hpp>

using namespace temblor;
using namespace temblor::fuzz;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return mutate_lines(data, size, most, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = scratch("images.h5");
  testing::write_hdf5({reinterpret_cast<const char*>(data), size}, path);
  judge([&] { read_images_of(path); });
  judge([&] { read_images_of(path, Split::train); });
  judge([&] { hdf5::content_digest(hdf5::File::open(path, hdf5::File::Mode::read)); });
  return 0;
}
