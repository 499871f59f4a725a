#include "constants.hpp"

#include <algorithm>
#include <cmath>

namespace temblor::onnx_io {
namespace {

using ::onnx::TensorProto;

struct Range {
  std::int64_t least;
  std::int64_t most;
};

Range range_of(int type) {
  if (type == TensorProto::INT8) return {-128, 127};
  if (type == TensorProto::UINT8) return {0, 255};
  return {-(std::int64_t{1} << 31), (std::int64_t{1} << 31) - 1};
}

/// Scale and zero point of every value: both one number, or one an index of the axis.
struct Steps {
  std::vector<float> scale;
  std::vector<std::int64_t> zero;
  std::int64_t axis = 0;
  std::int64_t inner = 1;  ///< values from one index of the axis to the next

  std::size_t entry(std::size_t value) const {
    return scale.size() == 1 ? 0 : value / static_cast<std::size_t>(inner) % scale.size();
  }
};

Steps steps_of(const Folding& folding, const Dims& dims, const Tensor& scale, const Tensor* zero, int type,
               std::int64_t axis) {
  const auto rank = static_cast<std::int64_t>(dims.size());
  if (axis < 0) axis += rank;
  const bool one = scale.size() == 1;
  const bool fits =
      one || (axis >= 0 && axis < rank && scale.dims == Dims{dims[static_cast<std::size_t>(axis)]});
  if (!scale.real || !fits)
    folding.refuse("its scale is " + sizes_text(scale.dims) + " for values " + sizes_text(dims));
  Steps steps{scale.values, std::vector<std::int64_t>(scale.size(), 0), one ? 0 : axis, 1};
  for (const float step : scale.values) {
    if (!(step >= 0) || !std::isfinite(step)) folding.refuse("a scale is not a finite number from 0 up");
  }
  if (zero != nullptr) {
    if (zero->real || zero->size() != scale.size()) folding.refuse("its zero point does not fit its scale");
    steps.zero = zero->whole;
  }
  const Range range = range_of(type);
  for (const auto value : steps.zero) {
    if (value < range.least || value > range.most) folding.refuse("a zero point is out of range");
  }
  for (std::int64_t d = axis + 1; !one && d < rank; ++d) steps.inner *= dims[static_cast<std::size_t>(d)];
  return steps;
}

}  // namespace

Tensor decoded(const Folding& folding, const Tensor& codes, const Tensor& scale, const Tensor* zero,
               std::int64_t axis) {
  const bool bytes = codes.type == TensorProto::INT8 || codes.type == TensorProto::UINT8;
  if (codes.real || (!bytes && codes.type != TensorProto::INT32))
    folding.refuse("its codes are not of type INT8, UINT8 or INT32");
  const Steps steps = steps_of(folding, codes.dims, scale, zero, codes.type, axis);
  const Range range = range_of(codes.type);
  Tensor result;
  result.dims = codes.dims;
  result.values.reserve(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::int64_t code = codes.whole[i];
    if (code < range.least || code > range.most) folding.refuse("a code is out of range");
    const std::size_t entry = steps.entry(i);
    result.values.push_back(static_cast<float>(code - steps.zero[entry]) * steps.scale[entry]);
  }
  if (bytes) {
    result.coded =
        std::make_shared<const Coded>(Coded{codes.dims, codes.whole, codes.type == TensorProto::INT8,
                                            steps.scale, steps.zero, steps.axis, zero != nullptr});
  }
  return result;
}

Tensor fold_dequantize(const Folding& folding) {
  const Tensor* zero = folding.inputs.size() > 2 ? folding.inputs[2] : nullptr;
  folding.check_room(folding.input(0).dims);
  return decoded(folding, folding.input(0), folding.input(1), zero, integer(folding.node, "axis", 1));
}

Tensor fold_quantize(const Folding& folding) {
  const Tensor& from = folding.input(0);
  const Tensor* zero = folding.inputs.size() > 2 ? folding.inputs[2] : nullptr;
  const int type = zero == nullptr ? int{TensorProto::UINT8} : zero->type;
  if (!from.real || (type != TensorProto::INT8 && type != TensorProto::UINT8))
    folding.refuse("it does not make INT8 or UINT8 of real numbers");
  folding.check_room(from.dims);
  const Steps steps =
      steps_of(folding, from.dims, folding.input(1), zero, type, integer(folding.node, "axis", 1));
  const Range range = range_of(type);
  Tensor result;
  result.real = false;
  result.type = type;
  result.dims = from.dims;
  for (std::size_t i = 0; i < from.values.size(); ++i) {
    const std::size_t entry = steps.entry(i);
    // To nearest, ties to even; the limits of the range are whole numbers.
    const float code = std::nearbyint(from.values[i] / steps.scale[entry]);
    if (std::isnan(code)) folding.refuse("a value is not a number, or its scale is 0");
    const auto least = static_cast<float>(range.least - steps.zero[entry]);
    const auto most = static_cast<float>(range.most - steps.zero[entry]);
    result.whole.push_back(static_cast<std::int64_t>(std::clamp(code, least, most)) + steps.zero[entry]);
  }
  return result;
}

}  // namespace temblor::onnx_io
