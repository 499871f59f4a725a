#include "constants.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor::onnx_io {
namespace {

Dims common(const Folding& folding, const Dims& a, const Dims& b) {
  Dims dims(std::max(a.size(), b.size()), 1);
  for (const Dims* one : {&a, &b}) {
    for (std::size_t d = 0; d < one->size(); ++d) {
      auto& size = dims[dims.size() - one->size() + d];
      if (size != 1 && (*one)[d] != 1 && size != (*one)[d]) folding.refuse("its shapes do not fit");
      if (size == 1) size = (*one)[d];
    }
  }
  return dims;
}

float computed(const std::string& op, float a, float b) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  return op == "Mul" ? a * b : a / b;
}

std::int64_t computed(const Folding& folding, std::int64_t a, std::int64_t b) {
  const std::string& op = folding.node.op_type();
  if (a == batch_size || b == batch_size) folding.refuse("it computes with the size of the batch");
  std::int64_t result = 0;
  bool over = false;
  if (op == "Add") over = __builtin_add_overflow(a, b, &result);
  if (op == "Sub") over = __builtin_sub_overflow(a, b, &result);
  if (op == "Mul") over = __builtin_mul_overflow(a, b, &result);
  if (op == "Div") {
    over = b == 0 || (b == -1 && a == std::numeric_limits<std::int64_t>::min());
    if (!over) result = a / b;
  }
  if (over) folding.refuse("a whole number goes out of range");
  return result;
}

}  // namespace

Tensor fold_binary(const Folding& folding) {
  const Tensor& a = folding.input(0);
  const Tensor& b = folding.input(1);
  if (a.real != b.real) folding.refuse("its types differ");
  const Dims dims = common(folding, a.dims, b.dims);
  Tensor result = broadcast(folding, a, dims);
  const Tensor other = broadcast(folding, b, dims);
  for (std::size_t i = 0; i < result.values.size(); ++i)
    result.values[i] = computed(folding.node.op_type(), result.values[i], other.values[i]);
  for (std::size_t i = 0; i < result.whole.size(); ++i)
    result.whole[i] = computed(folding, result.whole[i], other.whole[i]);
  return result;
}

Tensor fold_cast(const Folding& folding) {
  using ::onnx::TensorProto;
  const Tensor& from = folding.input(0);
  const auto to = static_cast<int>(integer(folding.node, "to", 0));
  const bool real = to == TensorProto::FLOAT || to == TensorProto::DOUBLE;
  if (!real && to != TensorProto::INT64 && to != TensorProto::INT32 && to != TensorProto::BOOL)
    folding.refuse("it casts to type " + std::to_string(to));
  Tensor result;
  result.dims = from.dims;
  result.real = real;
  result.type = to;
  const auto whole = [&](std::int64_t value) {
    if (value == batch_size) return value;
    if (to == TensorProto::BOOL) return static_cast<std::int64_t>(value != 0);
    return to == TensorProto::INT32 ? static_cast<std::int32_t>(value) : value;
  };
  for (const float value : from.values) {
    if (real) {
      result.values.push_back(value);
    } else if (std::abs(value) < 0x1p62F) {
      result.whole.push_back(whole(static_cast<std::int64_t>(value)));
    } else {
      folding.refuse("a number is too large for a whole one, or none");
    }
  }
  for (const std::int64_t value : from.whole) {
    if (real && value == batch_size) folding.refuse("it computes with the size of the batch");
    if (real) {
      result.values.push_back(static_cast<float>(value));
    } else {
      result.whole.push_back(whole(value));
    }
  }
  return result;
}

Tensor fold_range(const Folding& folding) {
  constexpr std::int64_t most = std::int64_t{1} << 40;
  for (std::size_t i = 0; i < 3; ++i) {
    const Tensor& limit = folding.input(i);
    if (limit.real || limit.size() != 1 || limit.whole[0] < -most || limit.whole[0] > most)
      folding.refuse("its limits and its step are not three whole numbers");
  }
  const std::int64_t start = folding.input(0).whole[0];
  const std::int64_t step = folding.input(2).whole[0];
  if (step == 0) folding.refuse("its step is 0");
  const std::int64_t distance = (folding.input(1).whole[0] - start) * (step > 0 ? 1 : -1);
  Tensor result;
  result.real = false;
  result.type = folding.input(0).type;
  result.dims = {distance <= 0 ? 0 : (distance - 1) / std::abs(step) + 1};
  folding.check_room(result.dims);
  for (std::int64_t i = 0; i < result.dims[0]; ++i) result.whole.push_back(start + i * step);
  return result;
}

Tensor fold_sqrt(const Folding& folding) {
  Tensor result = folding.input(0);
  if (!result.real) folding.refuse("its input is whole");
  result.coded = nullptr;
  for (float& value : result.values) value = std::sqrt(value);
  return result;
}

}  // namespace temblor::onnx_io
