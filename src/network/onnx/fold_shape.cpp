#include "constants.hpp"

#include <algorithm>
#include <limits>

namespace temblor::onnx_io {
namespace {

Tensor like(const Tensor& from, Dims dims) {
  Tensor result;
  result.real = from.real;
  result.type = from.type;
  result.dims = std::move(dims);
  return result;
}

void append(Tensor& to, const Tensor& from, std::int64_t first, std::int64_t count) {
  if (to.real) {
    to.values.insert(to.values.end(), from.values.begin() + first, from.values.begin() + first + count);
  } else {
    to.whole.insert(to.whole.end(), from.whole.begin() + first, from.whole.begin() + first + count);
  }
}

/// Values at offset + sum of index times stride, for every index within `dims`.
Tensor strided(const Folding& folding, const Tensor& from, std::int64_t offset, const Dims& strides,
               const Dims& dims) {
  folding.check_room(dims);
  Tensor result = like(from, dims);
  Dims at(dims.size(), 0);
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return result;
  for (std::int64_t left = product(dims); left > 0; --left) {
    append(result, from, offset, 1);
    for (std::size_t d = dims.size(); d-- > 0;) {
      offset += strides[d];
      if (++at[d] < dims[d]) break;
      offset -= at[d] * strides[d];
      at[d] = 0;
    }
  }
  return result;
}

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t d = dims.size(); d-- > 1;) strides[d - 1] = strides[d] * dims[d];
  return strides;
}

std::size_t axis_of(const Folding& folding, std::int64_t axis, std::size_t rank) {
  if (axis < 0) axis += static_cast<std::int64_t>(rank);
  if (axis < 0 || axis >= static_cast<std::int64_t>(rank))
    folding.refuse("it has no axis " + std::to_string(axis));
  return static_cast<std::size_t>(axis);
}

std::int64_t outer_of(const Dims& dims, std::size_t axis) {
  return product(Dims(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(axis)));
}

}  // namespace

Tensor broadcast(const Folding& folding, const Tensor& tensor, const Dims& dims) {
  if (tensor.dims.size() > dims.size()) folding.refuse("its shapes do not fit");
  const std::size_t missing = dims.size() - tensor.dims.size();
  const Dims own = strides_of(tensor.dims);
  Dims strides(dims.size(), 0);
  for (std::size_t d = missing; d < dims.size(); ++d) {
    const auto size = tensor.dims[d - missing];
    if (size != dims[d] && size != 1) folding.refuse("its shapes do not fit");
    if (size != 1) strides[d] = own[d - missing];
  }
  return strided(folding, tensor, 0, strides, dims);
}

Tensor fold_concat(const Folding& folding) {
  const Tensor& first = folding.input(0);
  const std::size_t axis = axis_of(folding, integer(folding.node, "axis", 0), first.dims.size());
  Dims dims = first.dims;
  dims[axis] = 0;
  for (std::size_t i = 0; i < folding.inputs.size(); ++i) {
    const Tensor& part = folding.input(i);
    Dims sizes = part.dims;
    if (sizes.size() == dims.size()) {
      dims[axis] += sizes[axis];
      sizes[axis] = dims[axis];
    }
    if (sizes != dims || part.real != first.real) folding.refuse("its shapes or types differ");
  }
  folding.check_room(dims);
  Tensor result = like(first, dims);
  const std::int64_t outer = outer_of(dims, axis);
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const Tensor* part : folding.inputs) {
      const std::int64_t run = static_cast<std::int64_t>(part->size()) / outer;
      append(result, *part, o * run, run);
    }
  }
  return result;
}

Tensor fold_constant_of_shape(const Folding& folding) {
  Tensor value;
  value.values = {0};
  value.dims = {1};
  if (const auto* given = attribute(folding.node, "value")) {
    value = read_tensor(given->t(), "", title(folding.node) + " in '" + folding.path + "'");
  }
  if (value.size() != 1 || folding.input(0).real) folding.refuse("its value is not one number");
  value.dims = {1};
  const Dims& dims = folding.input(0).whole;
  if (std::any_of(dims.begin(), dims.end(), [](auto dim) { return dim < 0; }))
    folding.refuse("its sizes are not known, or below 0");
  return strided(folding, value, 0, Dims(dims.size(), 0), dims);
}

Tensor fold_expand(const Folding& folding) {
  const Tensor& from = folding.input(0);
  Dims dims = folding.wholes(1, "");
  while (dims.size() < from.dims.size()) dims.insert(dims.begin(), 1);
  for (std::size_t d = 0; d < from.dims.size(); ++d) {
    auto& size = dims[dims.size() - from.dims.size() + d];
    if (size == 1) size = from.dims[d];
  }
  if (std::any_of(dims.begin(), dims.end(), [](auto dim) { return dim < 0; }))
    folding.refuse("its sizes are not known, or below 0");
  return broadcast(folding, from, dims);
}

Tensor fold_gather(const Folding& folding) {
  const Tensor& from = folding.input(0);
  const Tensor& at = folding.input(1);
  const std::size_t axis = axis_of(folding, integer(folding.node, "axis", 0), from.dims.size());
  if (at.real) folding.refuse("its indices are not whole");
  Dims dims(from.dims.begin(), from.dims.begin() + static_cast<std::ptrdiff_t>(axis));
  dims.insert(dims.end(), at.dims.begin(), at.dims.end());
  dims.insert(dims.end(), from.dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, from.dims.end());
  folding.check_room(dims);
  Tensor result = like(from, dims);
  const std::int64_t size = from.dims[axis];
  const std::int64_t outer = outer_of(from.dims, axis);
  const std::int64_t inner =
      product(Dims(from.dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, from.dims.end()));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const std::int64_t given : at.whole) {
      const std::int64_t index = given < 0 ? given + size : given;
      if (index < 0 || index >= size) folding.refuse("its index is out of range");
      append(result, from, (o * size + index) * inner, inner);
    }
  }
  return result;
}

Tensor fold_reshape(const Folding& folding) {
  Tensor result = folding.input(0);
  const Dims wanted = folding.wholes(1, "shape");
  const auto size = static_cast<std::int64_t>(result.size());
  Dims dims = wanted;
  std::int64_t known = 1;
  std::int64_t* open = nullptr;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 0 && d < result.dims.size()) dims[d] = result.dims[d];
    if (dims[d] == -1 && open == nullptr) {
      open = &dims[d];
      continue;
    }
    if (dims[d] < 1 || dims[d] > std::max<std::int64_t>(size, 1) / known)
      folding.refuse("its sizes do not fit");
    known *= dims[d];
  }
  if (open != nullptr) *open = size / known;
  if (product(dims) != size) folding.refuse("its sizes do not fit");
  result.dims = dims;
  result.coded = nullptr;
  return result;
}

Tensor fold_shape(const Folding& folding) {
  const auto rank = static_cast<std::int64_t>(folding.input(0).dims.size());
  const Taken part = taken(integer(folding.node, "start", 0), integer(folding.node, "end", rank), 1, rank);
  Tensor result;
  result.real = false;
  result.type = ::onnx::TensorProto::INT64;
  result.dims = {part.count};
  for (std::int64_t i = 0; i < part.count; ++i)
    result.whole.push_back(folding.input(0).dims[static_cast<std::size_t>(part.start + i)]);
  return result;
}

Taken taken(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t size) {
  // Negative indices count from the end; what lies outside is cut off. No sum here can overflow.
  if (size == 0) return {0, 0, step};
  if (start < 0) start += size;
  if (end < 0) end += size;
  start = std::clamp<std::int64_t>(start, 0, step > 0 ? size : size - 1);
  end = std::clamp<std::int64_t>(end, step > 0 ? 0 : -1, size);
  const std::int64_t distance = step > 0 ? end - start : start - end;
  const std::int64_t width = step == std::numeric_limits<std::int64_t>::min()
                                 ? std::numeric_limits<std::int64_t>::max()
                                 : std::abs(step);
  return {start, distance <= 0 ? 0 : (distance - 1) / width + 1, step};
}

Tensor fold_slice(const Folding& folding) {
  const Tensor& from = folding.input(0);
  const Dims starts = folding.wholes(1, "starts");
  const Dims ends = folding.wholes(2, "ends");
  Dims axes = folding.wholes(3, "axes");
  Dims steps = folding.wholes(4, "");
  if (axes.empty()) {
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  steps.resize(std::max(steps.size(), starts.size()), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    folding.refuse("it has " + std::to_string(starts.size()) + " starts and other numbers of ends or axes");
  Dims dims = from.dims;
  Dims strides = strides_of(from.dims);
  const Dims own = strides;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::size_t axis = axis_of(folding, axes[i], dims.size());
    if (steps[i] == 0) folding.refuse("a step is 0");
    const Taken part = taken(starts[i], ends[i], steps[i], from.dims[axis]);
    offset += part.start * own[axis];
    dims[axis] = part.count;
    strides[axis] = part.count > 1 ? own[axis] * part.step : 0;
  }
  return strided(folding, from, offset, strides, dims);
}

/// Squeeze and Unsqueeze.
Tensor fold_squeeze(const Folding& folding) {
  const bool more = folding.node.op_type() == "Unsqueeze";
  Tensor result = folding.input(0);
  result.coded = nullptr;
  Dims axes = folding.wholes(1, "axes");
  if (!more && axes.empty()) {
    std::erase(result.dims, 1);
    return result;
  }
  const std::size_t rank = result.dims.size() + (more ? axes.size() : 0);
  std::vector<bool> named(rank, false);
  for (const auto axis : axes) named[axis_of(folding, axis, rank)] = true;
  if (static_cast<std::size_t>(std::count(named.begin(), named.end(), true)) != axes.size())
    folding.refuse("it names an axis twice");
  Dims dims;
  std::size_t next = 0;
  for (std::size_t d = 0; d < rank; ++d) {
    if (more) {
      dims.push_back(named[d] ? 1 : result.dims[next++]);
    } else if (!named[d]) {
      dims.push_back(result.dims[d]);
    } else if (result.dims[d] != 1) {
      folding.refuse("the axis it takes out has " + std::to_string(result.dims[d]) + " values");
    }
  }
  result.dims = dims;
  return result;
}

Tensor fold_transpose(const Folding& folding) {
  const Tensor& from = folding.input(0);
  const std::size_t rank = from.dims.size();
  Dims order;
  for (std::size_t d = rank; d-- > 0;) order.push_back(static_cast<std::int64_t>(d));
  order = integers(folding.node, "perm", order);
  const Dims own = strides_of(from.dims);
  Dims dims, strides;
  std::vector<bool> seen(rank, false);
  for (const auto axis : order) {
    const std::size_t d = axis_of(folding, axis, rank);
    seen[d] = true;
    dims.push_back(from.dims[d]);
    strides.push_back(own[d]);
  }
  if (order.size() != rank || std::find(seen.begin(), seen.end(), false) != seen.end())
    folding.refuse("its order does not name each axis once");
  Tensor result = strided(folding, from, 0, strides, dims);
  if (from.coded != nullptr && rank == 2 && order == Dims{1, 0}) result.coded = from.coded->transposed();
  return result;
}

}  // namespace temblor::onnx_io
