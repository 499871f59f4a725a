#include "operators.hpp"

#include <algorithm>

namespace temblor::onnx_io {
namespace {

const std::string keep_values = "it does not keep the batch and the values of each image";

Dims flattened(const Builder& builder, const Node& node, const Dims& dims) {
  const auto axis = integer(node, "axis", 1);
  if (axis != 1 && axis != -static_cast<std::int64_t>(dims.size()))
    builder.refuse(node, "its axis is " + std::to_string(axis), "keep the batch: axis 1");
  return {product(dims)};
}

Dims to_sizes(const Builder& builder, const Node& node, const Dims& dims) {
  const Dims wanted = builder.wholes(node, 1, "shape");
  if (wanted.size() < 2) builder.refuse(node, "its sizes do not keep the batch", "keep the first size");
  Dims result(wanted.begin() + 1, wanted.end());
  const std::int64_t size = product(dims);
  std::int64_t known = 1;
  std::int64_t* open = nullptr;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i] == 0 && i < dims.size()) result[i] = dims[i];
    if (result[i] == -1 && open == nullptr) {
      open = &result[i];
      continue;
    }
    if (result[i] < 1 || result[i] > size / known)
      builder.refuse(node, "its sizes do not fit", "export the model again");
    known *= result[i];
  }
  if (open != nullptr) *open = size / known;
  // The batch is what the graph computed from it, the size of an example, or what is left over.
  const auto batch = wanted[0];
  const bool kept = batch == batch_size || batch == 0 || batch == 1 || (batch == -1 && open == nullptr);
  if (!kept || product(result) != size) builder.refuse(node, keep_values, "keep the first size");
  return result;
}

/// Squeeze and Unsqueeze: sizes of 1 taken out or put in.
Dims with_ones(const Builder& builder, const Node& node, const Dims& dims) {
  const bool more = node.op_type() == "Unsqueeze";
  Dims axes = builder.wholes(node, 1, "axes");
  if (axes.empty()) builder.refuse(node, "its axes are not said", "name them, the batch not among them");
  const auto rank = static_cast<std::int64_t>(dims.size() + 1 + (more ? axes.size() : 0));
  for (auto& axis : axes) axis += axis < 0 ? rank : 0;
  std::sort(axes.begin(), axes.end());
  if (!more) std::reverse(axes.begin(), axes.end());
  Dims result = dims;
  for (const auto axis : axes) {
    const auto most = static_cast<std::int64_t>(result.size()) + (more ? 1 : 0);
    if (axis < 1 || axis > most || (!more && result[static_cast<std::size_t>(axis - 1)] != 1))
      builder.refuse(node, keep_values, "choose other axes");
    const auto at = result.begin() + (axis - 1);
    if (more) {
      result.insert(at, 1);
    } else {
      result.erase(at);
    }
  }
  if (result.empty()) builder.refuse(node, "no size of an image is left", "choose other axes");
  return result;
}

/// An axis of the graph, the batch being 0, as a dimension of an image.
std::size_t dimension(const Builder& builder, const Node& node, std::int64_t axis, const Dims& dims) {
  const auto rank = static_cast<std::int64_t>(dims.size()) + 1;
  if (axis < 0) axis += rank;
  if (axis < 1 || axis >= rank)
    builder.refuse(node, "axis " + std::to_string(axis) + " is no size of an image", "leave the batch alone");
  return static_cast<std::size_t>(axis - 1);
}

void add_slice(Builder& builder, const Node& node, const Value& value, const std::vector<Taken>& parts,
               const Dims& dims) {
  LayerOptions options;
  for (const Taken& part : parts) {
    options["start"].push_back(static_cast<double>(part.start));
    options["count"].push_back(static_cast<double>(part.count));
    options["step"].push_back(static_cast<double>(part.count > 1 ? part.step : 1));
  }
  builder.charge(node, dims);
  const int input = builder.shaped(node, value);
  builder.give(node, {builder.add(node, "slice", options, {input}).node, dims});
}

}  // namespace

void convert_reshape(Builder& builder, const Node& node) {
  const Value value = builder.value_or_codes(node, 0);
  const std::string& op = node.op_type();
  Value result{value.node,
               op == "Flatten"   ? flattened(builder, node, value.dims)
               : op == "Reshape" ? to_sizes(builder, node, value.dims)
                                 : with_ones(builder, node, value.dims),
               value.grid};
  // What only puts in or takes out sizes of 1 often undoes another: later layers ask for the shape they need.
  const bool flat = result.dims.size() == 1 && value.dims.size() > 1;
  if (flat || (op == "Reshape" && result.dims.size() <= 3)) result.node = builder.shaped(node, result);
  builder.give(node, std::move(result));
}

void convert_shape(Builder& builder, const Node& node) {
  const Value& value = builder.value_or_codes(node, 0);
  Dims all{batch_size};
  all.insert(all.end(), value.dims.begin(), value.dims.end());
  const auto rank = static_cast<std::int64_t>(all.size());
  const Taken part = taken(integer(node, "start", 0), integer(node, "end", rank), 1, rank);
  Tensor tensor;
  tensor.real = false;
  tensor.type = ::onnx::TensorProto::INT64;
  tensor.whole.assign(all.begin() + part.start, all.begin() + part.start + part.count);
  tensor.dims = {part.count};
  builder.make_constant(node, std::move(tensor));
}

void convert_slice(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const Dims starts = builder.wholes(node, 1, "starts");
  const Dims ends = builder.wholes(node, 2, "ends");
  Dims axes = builder.wholes(node, 3, "axes");
  Dims steps = builder.wholes(node, 4, "");
  if (axes.empty()) {
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    builder.refuse(node, "its starts, ends, axes and steps are of different numbers", "export it again");
  std::vector<Taken> parts;
  for (const auto dim : value.dims) parts.push_back({0, dim, 1});
  bool all = true;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (steps[i] == 0) builder.refuse(node, "a step is 0", "export the model again");
    if (axes[i] == 0 && starts[i] == 0 && steps[i] == 1 && ends[i] >= most_values) continue;
    const std::size_t d = dimension(builder, node, axes[i], value.dims);
    parts[d] = taken(starts[i], ends[i], steps[i], value.dims[d]);
    if (parts[d].count < 1) builder.refuse(node, "it takes no values", "export the model again");
    all = all && parts[d].count == value.dims[d] && (parts[d].step == 1 || parts[d].count == 1);
  }
  if (all) return builder.give(node, value);
  Dims dims;
  for (const Taken& part : parts) dims.push_back(part.count);
  add_slice(builder, node, value, parts, dims);
}

void convert_gather(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const Tensor& at = builder.constant(node, 1);
  const std::size_t d = dimension(builder, node, integer(node, "axis", 0), value.dims);
  if (at.real || at.size() != 1 || at.dims.size() > 1)
    builder.refuse(node, "it takes more than one index", "use Slice");
  const std::int64_t index = at.whole[0] < 0 ? at.whole[0] + value.dims[d] : at.whole[0];
  if (index < 0 || index >= value.dims[d]) builder.refuse(node, "its index is out of range", "correct it");
  std::vector<Taken> parts;
  for (const auto dim : value.dims) parts.push_back({0, dim, 1});
  parts[d] = {index, 1, 1};
  Dims dims = value.dims;
  dims[d] = 1;
  if (at.dims.empty() && dims.size() > 1) dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(d));
  add_slice(builder, node, value, parts, dims);
}

void convert_pad(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const std::string mode = text(node, "mode", "constant");
  if (mode != "constant") builder.refuse(node, "its mode is '" + mode + "'", "pad with a constant");
  const Dims pads = builder.wholes(node, 1, "pads");
  const std::size_t rank = value.dims.size() + 1;
  if (pads.size() != 2 * rank) {
    builder.refuse(node, "pads has " + std::to_string(pads.size()) + " values",
                   "give one before and one behind each of " + std::to_string(rank) + " sizes");
  }
  float constant = real(node, "value", 0);
  if (has_input(node, 2)) {
    const Tensor& tensor = builder.constant(node, 2);
    if (!tensor.real || tensor.size() != 1)
      builder.refuse(node, "its value is not one number", "export the model again");
    constant = tensor.values[0];
  }
  LayerOptions options{{"value", {static_cast<double>(constant)}}};
  bool none = true;
  Dims padded;
  for (std::size_t d = 0; d < rank; ++d) {
    const auto before = pads[d];
    const auto after = pads[d + rank];
    none = none && before == 0 && after == 0;
    if (before < 0 || after < 0 || before > most_values || after > most_values)
      builder.refuse(node, "it pads by " + sizes_text(pads), "counts from 0 up are supported");
    if (d == 0 && (before != 0 || after != 0)) builder.refuse(node, "it pads the batch", "pad images");
    if (d == 0) continue;
    padded.push_back(before + value.dims[d - 1] + after);
    options["before"].push_back(static_cast<double>(before));
    options["after"].push_back(static_cast<double>(after));
  }
  if (none) return builder.give(node, value);
  builder.charge(node, padded);
  const int input = builder.shaped(node, value);
  builder.give(node, builder.add(node, "pad", options, {input}));
}

void convert_transpose(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const std::size_t rank = value.dims.size() + 1;
  const Dims order = integers(node, "perm", {});
  std::vector<bool> seen(rank, false);
  for (const auto axis : order) {
    if (axis >= 0 && axis < static_cast<std::int64_t>(rank)) seen[static_cast<std::size_t>(axis)] = true;
  }
  if (order.size() != rank || order[0] != 0 || std::find(seen.begin(), seen.end(), false) != seen.end())
    builder.refuse(node, "its order does not keep the batch first, or does not name each axis once",
                   "keep the batch first");
  LayerOptions options;
  Dims dims;
  bool moves = false;
  std::int64_t last = 0;
  for (std::size_t d = 1; d < rank; ++d) {
    options["order"].push_back(static_cast<double>(order[d] - 1));
    dims.push_back(value.dims[static_cast<std::size_t>(order[d] - 1)]);
    // Values stay where they are when only sizes of 1 change places.
    if (dims.back() == 1) continue;
    moves = moves || order[d] < last;
    last = order[d];
  }
  if (!moves) return builder.give(node, {value.node, dims});
  builder.charge(node, dims);
  const int input = builder.shaped(node, value);
  builder.give(node, builder.add(node, "transpose", options, {input}));
}

void convert_cast(Builder& builder, const Node& node) {
  const auto to = integer(node, "to", 0);
  if (to != ::onnx::TensorProto::FLOAT)
    builder.refuse(node, "it turns activations into type " + std::to_string(to), "activations are float32");
  builder.give(node, builder.value(node, 0));
}

void convert_concat(Builder& builder, const Node& node) {
  const Dims dims = builder.value(node, 0).dims;
  const std::size_t axis = dimension(builder, node, integer(node, "axis", 1), dims);
  std::vector<int> inputs;
  for (int i = 0; i < node.input_size(); ++i) inputs.push_back(builder.shaped(node, builder.value(node, i)));
  if (inputs.size() == 1) return builder.give(node, builder.value(node, 0));
  builder.give(node, builder.add(node, "concat", {{"axis", {static_cast<double>(axis)}}}, std::move(inputs)));
}

}  // namespace temblor::onnx_io
