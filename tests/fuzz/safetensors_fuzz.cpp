#include "support/fuzz.hpp"
#include "support/lines.hpp"

#include <algorithm>

#include <temblor/network/safetensors.hpp>

using namespace temblor;
using namespace temblor::fuzz;

namespace {

/// A dense layer behind a convolution and a scaling: each kind of tensor.
Network architecture() {
  Network network({{1, 3, 3}}, {});
  network.add(make_layer("conv2d", {{"kernel", {2, 2}}}), {Matrix::Zero(2, 4), Vector::Zero(2)}, {}, "conv");
  network.add(make_layer("scale"), {Matrix::Zero(2, 1), Vector::Zero(2)}, {}, "norm");
  network.add(make_layer("flatten"));
  network.add(make_layer("dense"), {Matrix::Zero(3, 8), {}}, {}, "/fc/fc1/Gemm");
  return network;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return mutate_lines(data, size, most, seed);
}

/// The first line, and the rest: behind '=', the header, whose length goes before it, and the values; else
/// the rest is the file as it is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Network network = architecture();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(bytes.find('\n'), bytes.size());
  const std::string_view header = bytes.substr(0, end);
  const std::string_view rest = bytes.substr(std::min(end + 1, bytes.size()));
  std::string file(rest);
  if (header.starts_with('=')) {
    std::string length(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>((header.size() - 1) >> (8 * i) & 255U);
    file = length + std::string(header.substr(1)) + file;
  }
  const auto path = scratch("weights.safetensors");
  write_file(path, file);
  judge([&] {
    is_safetensors(path);
    examine(import_safetensors(path, network).network);
  });
  return 0;
}
