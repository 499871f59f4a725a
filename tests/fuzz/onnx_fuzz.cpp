#include "support/fuzz.hpp"
#include "support/proto.hpp"

#include <onnx/onnx_pb.h>

#include <temblor/network/onnx.hpp>

using namespace temblor;
using namespace temblor::fuzz;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  ::onnx::ModelProto model;
  return mutate_message(model, data, size, most, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = scratch("model.onnx");
  write_file(path, {reinterpret_cast<const char*>(data), size});
  judge([&] { examine(import_onnx(path).network); });
  return 0;
}
