#include "tensor.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <temblor/base/error.hpp>
#include <temblor/formats/floats.hpp>

namespace temblor::onnx_io {
namespace {

using ::onnx::TensorProto;

constexpr std::int64_t most_values = std::int64_t{1} << 31;

/// Number of values that the dims ask for.
std::size_t count_of(const TensorProto& proto, const std::string& where) {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t dim : proto.dims()) {
    if (dim < 0 || (dim > 0 && count > most_values / dim)) {
      input_error(where, "a size of " + std::to_string(dim) + " is impossible", "export the model again");
    }
    empty = empty || dim == 0;
    count *= std::max<std::int64_t>(dim, 1);
  }
  return empty ? 0 : static_cast<std::size_t>(count);
}

std::size_t width_of(const TensorProto& proto, const std::string& where) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
    case TensorProto::INT32:
      return 4;
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
      return 8;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return 2;
    case TensorProto::INT8:
    case TensorProto::UINT8:
    case TensorProto::BOOL:
      return 1;
    default:
      break;
  }
  const auto type = proto.data_type();
  const std::string name = TensorProto::DataType_IsValid(type)
                               ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(type))
                               : std::to_string(type);
  input_error(where, "its type is " + name,
              "export it as FLOAT, DOUBLE, FLOAT16, BFLOAT16, INT64, INT32, INT8, UINT8 or BOOL");
}

std::uint64_t whole_number(const ::onnx::StringStringEntryProto& entry, const std::string& where) {
  const std::string& text = entry.value();
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    input_error(where, "the " + entry.key() + " '" + text + "' of its external data is no whole number",
                "export the model again");
  }
  return value;
}

/// Bytes that the file keeps beside itself.
std::string external_bytes(const TensorProto& proto, const std::string& folder, std::size_t bytes,
                           const std::string& where) {
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t length = bytes;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = whole_number(entry, where);
    if (entry.key() == "length") length = whole_number(entry, where);
  }
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path base = fs::weakly_canonical(folder.empty() ? "." : folder, error);
  const fs::path target = fs::weakly_canonical(base / location, error);
  const auto [end, ignored] = std::mismatch(base.begin(), base.end(), target.begin(), target.end());
  if (location.empty() || fs::path(location).is_absolute() || end != base.end()) {
    input_error(where, "its data lie in '" + location + "', which is not in the model's folder",
                "put the file beside the model and name it without a path");
  }
  if (length != bytes) {
    input_error(where,
                "its external data have " + std::to_string(length) + " bytes, its sizes ask for " +
                    std::to_string(bytes),
                "export the model again");
  }
  const auto size = fs::file_size(target, error);
  if (error || size < offset || size - offset < bytes) {
    input_error(where, "its external data '" + location + "' are missing or too short",
                "put the file beside the model");
  }
  std::ifstream in(target, std::ios::binary);
  std::string data(bytes, '\0');
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(data.data(), static_cast<std::streamsize>(bytes));
  if (!in) input_error(where, "its external data '" + location + "' cannot be read", "check the file");
  return data;
}

template <class T>
T little_endian(const char* bytes) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

void read_raw(const TensorProto& proto, const std::string& bytes, Tensor& tensor) {
  const char* at = bytes.data();
  const std::size_t width = bytes.size() / (tensor.real ? tensor.values.size() : tensor.whole.size());
  for (float& value : tensor.values) {
    switch (proto.data_type()) {
      case TensorProto::FLOAT:
        value = little_endian<float>(at);
        break;
      case TensorProto::DOUBLE:
        value = static_cast<float>(little_endian<double>(at));
        break;
      case TensorProto::FLOAT16:
        value = formats::from_fp16(little_endian<std::uint16_t>(at));
        break;
      default:
        value = formats::from_bf16(little_endian<std::uint16_t>(at));
    }
    at += width;
  }
  for (auto& value : tensor.whole) {
    value = proto.data_type() == TensorProto::INT8 ? little_endian<std::int8_t>(at)
            : width == 1                           ? little_endian<std::uint8_t>(at)
            : width == 4                           ? little_endian<std::int32_t>(at)
                                                   : little_endian<std::int64_t>(at);
    at += width;
  }
}

template <class Field, class Values, class Convert>
void read_field(const Field& field, Values& values, const std::string& where, Convert convert) {
  if (static_cast<std::size_t>(field.size()) != values.size()) {
    input_error(where,
                "it has " + std::to_string(field.size()) + " values, its sizes ask for " +
                    std::to_string(values.size()),
                "export the model again");
  }
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = convert(field[static_cast<int>(i)]);
}

void read_typed(const TensorProto& proto, const std::string& where, Tensor& tensor) {
  const auto same = [](auto value) { return value; };
  const auto half = [](std::int32_t value) { return formats::from_fp16(static_cast<std::uint16_t>(value)); };
  const auto brain = [](std::int32_t value) { return formats::from_bf16(static_cast<std::uint16_t>(value)); };
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      return read_field(proto.float_data(), tensor.values, where, same);
    case TensorProto::DOUBLE:
      return read_field(proto.double_data(), tensor.values, where,
                        [](double value) { return static_cast<float>(value); });
    case TensorProto::FLOAT16:
      return read_field(proto.int32_data(), tensor.values, where, half);
    case TensorProto::BFLOAT16:
      return read_field(proto.int32_data(), tensor.values, where, brain);
    case TensorProto::INT64:
      return read_field(proto.int64_data(), tensor.whole, where, same);
    default:
      return read_field(proto.int32_data(), tensor.whole, where, same);
  }
}

}  // namespace

std::shared_ptr<const Coded> Coded::transposed() const {
  auto result = std::make_shared<Coded>(*this);
  result->dims = {dims[1], dims[0]};
  result->axis = 1 - axis;
  const auto rows = static_cast<std::size_t>(dims[0]);
  const auto columns = static_cast<std::size_t>(dims[1]);
  for (std::size_t i = 0; i < codes.size(); ++i) result->codes[i] = codes[i % rows * columns + i / rows];
  return result;
}

Tensor read_tensor(const TensorProto& proto, const std::string& folder, const std::string& where) {
  Tensor tensor;
  tensor.dims.assign(proto.dims().begin(), proto.dims().end());
  const std::size_t count = count_of(proto, where);
  const std::size_t bytes = count * width_of(proto, where);
  tensor.type = proto.data_type();
  tensor.real = tensor.type == TensorProto::FLOAT || tensor.type == TensorProto::DOUBLE ||
                tensor.type == TensorProto::FLOAT16 || tensor.type == TensorProto::BFLOAT16;
  const bool external = proto.data_location() == TensorProto::EXTERNAL;
  const std::string outside = external ? external_bytes(proto, folder, bytes, where) : std::string();
  const std::string& raw = external ? outside : proto.raw_data();
  const std::size_t held = raw.empty()
                               ? static_cast<std::size_t>(proto.float_data_size() + proto.double_data_size() +
                                                          proto.int32_data_size() + proto.int64_data_size())
                               : raw.size() / width_of(proto, where);
  // Before anything is reserved: a few bytes must not ask for gigabytes.
  if (held != count || (!raw.empty() && raw.size() != bytes)) {
    input_error(where,
                "it holds " + std::to_string(held) + " values, its sizes ask for " + std::to_string(count),
                "export the model again");
  }
  (tensor.real ? tensor.values.resize(count) : tensor.whole.resize(count));
  if (count == 0) return tensor;
  raw.empty() ? read_typed(proto, where, tensor) : read_raw(proto, raw, tensor);
  return tensor;
}

}  // namespace temblor::onnx_io
