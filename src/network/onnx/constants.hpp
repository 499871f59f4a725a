#pragma once

#include "node.hpp"

#include <map>
#include <optional>

namespace temblor::onnx_io {

/// The constants of a graph by name: initialisers, and what nodes compute from constants alone.
class Constants {
 public:
  const Tensor* find(const std::string& name) const;
  bool contains(const std::string& name) const { return find(name) != nullptr; }

  /// A tensor that the file holds.
  void store(const std::string& name, Tensor tensor);
  /// A tensor that a node makes. Bad-input error where a graph makes far more values than its file holds.
  void make(const Node& node, const std::string& path, Tensor tensor);
  /// Refuses sizes that `make` would refuse, before memory is taken for them.
  void check_room(const Node& node, const std::string& path, const Dims& dims) const;

 private:
  std::map<std::string, Tensor> tensors_;
  std::int64_t room_ = std::int64_t{1} << 22;  ///< values that nodes may still make
};

/// Computes a node from constants alone and adds its output to them; false where that cannot be: its inputs
/// are not all constants, or its operator is not among foldable_operators().
bool fold(const Node& node, const std::string& path, Constants& constants);
std::vector<std::string> foldable_operators();

/// What an operator computes of constants. Null inputs are those that are left out; the first is there.
struct Folding {
  const Node& node;
  const std::string& path;
  const Constants& constants;
  std::vector<const Tensor*> inputs;

  const Tensor& input(std::size_t i) const;
  /// Whole numbers at an input or, in older opsets, in an attribute.
  Dims wholes(std::size_t i, const std::string& attribute_name) const;
  [[noreturn]] void refuse(const std::string& why) const;
  void check_room(const Dims& dims) const { constants.check_room(node, path, dims); }
};

// Movement of values (fold_shape.cpp).
Tensor fold_concat(const Folding& folding);
Tensor fold_constant_of_shape(const Folding& folding);
Tensor fold_expand(const Folding& folding);
Tensor fold_gather(const Folding& folding);
Tensor fold_reshape(const Folding& folding);
Tensor fold_shape(const Folding& folding);
Tensor fold_slice(const Folding& folding);
Tensor fold_squeeze(const Folding& folding);
Tensor fold_transpose(const Folding& folding);

// Arithmetic (fold_arithmetic.cpp).
Tensor fold_binary(const Folding& folding);  ///< Add, Div, Mul, Sub
Tensor fold_cast(const Folding& folding);
Tensor fold_range(const Folding& folding);
Tensor fold_sqrt(const Folding& folding);

// Codes (fold_codes.cpp).
Tensor fold_dequantize(const Folding& folding);
Tensor fold_quantize(const Folding& folding);
/// Codes as real numbers, as DequantizeLinear has it. `zero` may be null. The result keeps int8 and uint8
/// codes. Bad-input error where scale and zero point do not fit.
Tensor decoded(const Folding& folding, const Tensor& codes, const Tensor& scale, const Tensor* zero,
               std::int64_t axis);

/// The tensor as it repeats along sizes of 1 or missing ones.
Tensor broadcast(const Folding& folding, const Tensor& tensor, const Dims& dims);

/// One axis of a Slice on a dimension of `size` values: first index, number and distance of the values taken.
struct Taken {
  std::int64_t start;
  std::int64_t count;
  std::int64_t step;
};
Taken taken(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t size);

}  // namespace temblor::onnx_io
