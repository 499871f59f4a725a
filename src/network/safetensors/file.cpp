#include "file.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/formats/floats.hpp>

namespace temblor::safetensors {
namespace {

using Json = nlohmann::json;

const std::string damaged = "the file is damaged: save it again";

/// Bytes of one value; 0 for types that the format does not have.
std::uint64_t width_of(const std::string& type) {
  static const std::map<std::string, std::uint64_t> widths{
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I64", 8}, {"U64", 8},
      {"I32", 4}, {"U32", 4}, {"I16", 2}, {"U16", 2},  {"I8", 1},      {"U8", 1},      {"BOOL", 1}};
  const auto found = widths.find(type);
  return found == widths.end() ? 0 : found->second;
}

template <class Wrong>
std::vector<std::uint64_t> numbers(const Json& list, Wrong wrong) {
  if (!list.is_array()) wrong();
  std::vector<std::uint64_t> result;
  for (const auto& one : list) {
    if (!one.is_number_unsigned()) wrong();
    result.push_back(one.get<std::uint64_t>());
  }
  return result;
}

}  // namespace

std::string text_of(const Dims& dims) {
  std::vector<std::string> parts;
  for (const auto dim : dims) parts.push_back(std::to_string(dim));
  return "[" + join(parts, ", ") + "]";
}

File::File(const std::string& path) : path_(path), in_(path, std::ios::binary) {
  std::error_code error;
  if (!in_ || !std::filesystem::is_regular_file(path, error)) {
    input_error("cannot open '" + path + "'", "no such file, or not readable", "check the path");
  }
  const auto size = std::filesystem::file_size(path, error);
  std::uint64_t length = 0;
  static_assert(std::endian::native == std::endian::little);
  in_.read(reinterpret_cast<char*>(&length), sizeof length);
  if (error || !in_) refuse("it has " + std::to_string(size) + " bytes, not even a header", damaged);
  if (length > size - sizeof length || length > most_header) {
    refuse("its header claims " + std::to_string(length) + " bytes, the file has " + std::to_string(size),
           length <= size ? "headers have " + std::to_string(most_header) + " bytes at most" : damaged);
  }
  start_ = sizeof length + length;
  std::string header(length, '\0');
  in_.read(header.data(), static_cast<std::streamsize>(length));
  if (!in_) refuse("its header cannot be read", "check the file");
  read_entries(parse(header));
  check_layout(size - start_);
}

std::string File::title(const std::string& name) const {
  return "tensor '" + name + "' in '" + path_ + "'";
}

std::vector<float> File::read(const std::string& name, bool& exact) {
  const Entry& entry = entries_.at(name);
  std::string bytes(entry.end - entry.begin, '\0');
  in_.clear();
  in_.seekg(static_cast<std::streamoff>(start_ + entry.begin));
  in_.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in_) input_error(title(name), "its values cannot be read", "check the file");
  std::vector<float> values(bytes.size() / width_of(entry.type));
  const char* at = bytes.data();
  for (float& value : values) {
    const double stored = number(entry.type, at, name);
    at += width_of(entry.type);
    value = static_cast<float>(stored);
    if (!std::isfinite(value)) {
      input_error(title(name), "a value is " + to_text(stored),
                  std::isfinite(stored) ? "weights are held as 32-bit floats: scale the network"
                                        : "repair or retrain the network");
    }
    exact = exact && static_cast<double>(value) == stored;
  }
  return values;
}

void File::refuse(const std::string& why, const std::string& cure) const {
  input_error("'" + path_ + "'", why, cure);
}

double File::number(const std::string& type, const char* at, const std::string& name) const {
  const auto as = [at](auto value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  if (type == "F64") return as(double{});
  if (type == "F32") return static_cast<double>(as(float{}));
  if (type == "F16") return static_cast<double>(formats::from_fp16(as(std::uint16_t{})));
  if (type == "BF16") return static_cast<double>(formats::from_bf16(as(std::uint16_t{})));
  input_error(title(name), "its type is " + type, "save it as F32, F64, F16 or BF16");
}

Json File::parse(const std::string& header) const {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      twice = value.get<std::string>();
    }
    return true;
  };
  Json parsed = Json::parse(header, watch, false);
  if (parsed.is_discarded() || !parsed.is_object()) refuse("its header is no JSON object", damaged);
  if (!twice.empty()) refuse("its header names '" + twice + "' twice", damaged);
  return parsed;
}

void File::read_entries(const Json& header) {
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;
    const auto wrong = [&, where = title(name)](const std::string& why) { input_error(where, why, damaged); };
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets")) {
      wrong("it has no dtype, shape and data_offsets");
    }
    const auto& type = value["dtype"];
    Entry entry;
    if (!type.is_string() || width_of(type.get<std::string>()) == 0) wrong("its dtype is unknown");
    entry.type = type.get<std::string>();
    entry.dims = numbers(value["shape"], [&] { wrong("its shape is no list of whole numbers"); });
    const auto offsets = numbers(value["data_offsets"], [&] { wrong("its data_offsets are no numbers"); });
    if (offsets.size() != 2 || offsets[0] > offsets[1]) wrong("its data_offsets are not a range");
    entry.begin = offsets[0];
    entry.end = offsets[1];
    std::uint64_t bytes = width_of(entry.type);
    for (const std::uint64_t dim : entry.dims) {
      if (dim != 0 && bytes > (std::uint64_t{1} << 62U) / dim) wrong("its shape is impossible");
      bytes *= dim;
    }
    if (bytes != entry.end - entry.begin) {
      wrong("its " + entry.type + " values of shape " + text_of(entry.dims) + " take " +
            std::to_string(bytes) + " bytes, it has " + std::to_string(entry.end - entry.begin));
    }
    entries_[name] = std::move(entry);
  }
  if (entries_.empty()) refuse("it holds no tensors", "save the weights again");
}

/// Every byte belongs to one tensor.
void File::check_layout(std::uint64_t size) const {
  std::vector<const std::pair<const std::string, Entry>*> order;
  for (const auto& entry : entries_) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  std::uint64_t end = 0;
  for (const auto* entry : order) {
    if (entry->second.end > size) {
      input_error(title(entry->first),
                  "it ends at byte " + std::to_string(entry->second.end) + " of " + std::to_string(size),
                  "the file is cut short: copy or save it again");
    }
    if (entry->second.begin != end) {
      input_error(title(entry->first),
                  entry->second.begin < end ? "its bytes are those of another tensor as well"
                                            : "bytes before it belong to no tensor",
                  damaged);
    }
    end = entry->second.end;
  }
  if (end != size) refuse(std::to_string(size - end) + " bytes at its end belong to no tensor", damaged);
}

}  // namespace temblor::safetensors
