#include <algorithm>
#include <array>
#include <span>

#include <temblor/base/error.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/hdf5/digest.hpp>

namespace temblor::hdf5 {
namespace {

const std::array<std::string, 2> left_out{"/provenance", "/timing"};
const std::array<std::string, 2> addresses{"DIMENSION_LIST", "REFERENCE_LIST"};

/// A text with its length, so that two neighbours never run into each other.
void add(Sha256& sha, const std::string& text) {
  sha.add(std::to_string(text.size())).add(":").add(text);
}

template <class T>
void add_values(Sha256& sha, const Group& group, const std::string& name, const Dims& dims) {
  constexpr std::uint64_t block = std::uint64_t{1} << 22U;
  if (dims.empty()) {
    const auto values = group.read<T>(name);
    sha.add(std::as_bytes(std::span(values)));
    return;
  }
  std::uint64_t slice = 1;
  for (std::size_t i = 1; i < dims.size(); ++i) slice *= dims[i];
  const std::uint64_t step = std::max<std::uint64_t>(1, block / std::max<std::uint64_t>(1, slice));
  Dims offset(dims.size(), 0);
  Dims count = dims;
  for (std::uint64_t row = 0; row < dims[0]; row += step) {
    offset[0] = row;
    count[0] = std::min(step, dims[0] - row);
    const auto values = group.read_slab<T>(name, offset, count);
    sha.add(std::as_bytes(std::span(values)));
  }
}

void add_dataset(Sha256& sha, const Group& group, const std::string& name) {
  const std::string type = group.type(name);
  const Dims dims = group.dims(name);
  add(sha, type);
  for (const auto size : dims) add(sha, std::to_string(size));
  if (type == "text") {
    for (const auto& value : group.read_strings(name)) add(sha, value);
  } else if (type == "float32") {
    add_values<float>(sha, group, name, dims);
  } else if (type == "float64" || type == "float16") {
    add_values<double>(sha, group, name, dims);
  } else if (type == "uint64") {
    add_values<std::uint64_t>(sha, group, name, dims);
  } else if (type == "uint8") {
    add_values<std::uint8_t>(sha, group, name, dims);
  } else if (type.starts_with("int") || type.starts_with("uint")) {
    add_values<std::int64_t>(sha, group, name, dims);
  } else {
    input_error("'" + group.path() + "/" + name + "' in '" + group.file_name() + "'",
                "it holds neither numbers nor text", "a digest exists for files that temblor writes");
  }
}

void add_attributes(Sha256& sha, const Group& group, const std::string& object) {
  for (const auto& name : group.attributes(object)) {
    if (std::find(addresses.begin(), addresses.end(), name) != addresses.end()) continue;
    add(sha, "@" + name);
    add(sha, group.attribute_text(name, object));
  }
}

void add_group(Sha256& sha, const Group& group) {
  add(sha, group.path());
  add_attributes(sha, group, "");
  for (const auto& name : group.children()) {
    const std::string path = (group.path() == "/" ? "" : group.path()) + "/" + name;
    if (std::find(left_out.begin(), left_out.end(), path) != left_out.end()) continue;
    if (group.is_dataset(name)) {
      add(sha, path);
      add_dataset(sha, group, name);
      add_attributes(sha, group, name);
    } else {
      add_group(sha, group.group(name));
    }
  }
}

}  // namespace

std::string content_digest(const File& file) {
  Sha256 sha;
  add_group(sha, file);
  return sha.hex();
}

}  // namespace temblor::hdf5
