#include "library.hpp"

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor::hdf5 {

using namespace detail;

namespace {

std::string target(const std::string& object) {
  return object.empty() ? "." : object;
}

/// "attribute" of "object" as error messages name it.
std::string label(const std::string& attribute, const std::string& object) {
  return (object.empty() ? "" : object + "/") + "@" + attribute;
}

herr_t read_attribute(hid_t id, hid_t memory, void* buffer) {
  return H5Aread(id, memory, buffer);
}

void replace(const Node& node, const std::string& attribute, const std::string& object, hid_t file_type,
             hid_t memory_type, hid_t space, const void* data) {
  const std::string where = target(object);
  if (!exists(node.id, where)) refuse(node, object, "there is no such object to give an attribute to");
  if (H5Aexists_by_name(node.id, where.c_str(), attribute.c_str(), H5P_DEFAULT) > 0) {
    H5Adelete_by_name(node.id, where.c_str(), attribute.c_str(), H5P_DEFAULT);
  }
  const Id id(H5Acreate_by_name(node.id, where.c_str(), attribute.c_str(), file_type, space, H5P_DEFAULT,
                                H5P_DEFAULT, H5P_DEFAULT),
              H5Aclose);
  const bool empty = H5Sget_simple_extent_npoints(space) == 0;
  if (!id.valid() || (!empty && H5Awrite(id, memory_type, data) < 0))
    fail("write", label(attribute, object), node);
}

/// The attribute, or an invalid id when the object is there without it.
Id open_attribute(const Node& node, const std::string& attribute, const std::string& object) {
  const std::string where = target(object);
  if (!exists(node.id, where)) refuse(node, object, "there is no such object");
  const htri_t there = H5Aexists_by_name(node.id, where.c_str(), attribute.c_str(), H5P_DEFAULT);
  if (there < 0) fail("read", label(attribute, object), node);
  if (there == 0) return {H5I_INVALID_HID, H5Aclose};
  Id id(H5Aopen_by_name(node.id, where.c_str(), attribute.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!id.valid()) fail("read", label(attribute, object), node);
  return id;
}

}  // namespace

void Group::set_text(const std::string& attribute, const std::string& value,
                     const std::string& object) const {
  const Guard guard(handle_->file->name);
  const Id type = text_type();
  const Id space(H5Screate(H5S_SCALAR), H5Sclose);
  const char* pointer = value.c_str();
  replace(*handle_, attribute, object, type, type, space, &pointer);
}

template <class T>
void Group::set(const std::string& attribute, std::span<const T> values, const std::string& object) const {
  const Guard guard(handle_->file->name);
  const hsize_t count = values.size();
  // One value is a scalar: that is what Python users expect of a number.
  const Id space(count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, nullptr), H5Sclose);
  replace(*handle_, attribute, object, Type<T>::file(), Type<T>::memory(), space, values.data());
}

std::optional<std::string> Group::text(const std::string& attribute, const std::string& object) const {
  const Guard guard(handle_->file->name);
  const Id id = open_attribute(*handle_, attribute, object);
  if (!id.valid()) return std::nullopt;
  const Id type(H5Aget_type(id), H5Tclose);
  const Id space(H5Aget_space(id), H5Sclose);
  const auto values =
      decode_strings(*handle_, label(attribute, object), type, space, read_attribute, id, true);
  if (values.size() != 1) refuse(*handle_, label(attribute, object), "one text is needed");
  return values.front();
}

std::optional<std::vector<std::string>> Group::texts(const std::string& attribute,
                                                     const std::string& object) const {
  const Guard guard(handle_->file->name);
  const Id id = open_attribute(*handle_, attribute, object);
  if (!id.valid()) return std::nullopt;
  const Id type(H5Aget_type(id), H5Tclose);
  const Id space(H5Aget_space(id), H5Sclose);
  if (H5Sget_simple_extent_npoints(space) == 0) return std::vector<std::string>();
  return decode_strings(*handle_, label(attribute, object), type, space, read_attribute, id, true);
}

template <class T>
std::optional<std::vector<T>> Group::get(const std::string& attribute, const std::string& object) const {
  const Guard guard(handle_->file->name);
  const Id id = open_attribute(*handle_, attribute, object);
  if (!id.valid()) return std::nullopt;
  const std::string name = label(attribute, object);
  const Id type(H5Aget_type(id), H5Tclose);
  const Id space(H5Aget_space(id), H5Sclose);
  check_kind(*handle_, name, type, std::is_floating_point_v<T>);
  const hssize_t points = H5Sget_simple_extent_npoints(space);
  if (points < 0) fail("read", name, *handle_);
  const auto count = static_cast<std::size_t>(points);
  check_bytes(*handle_, name, count, std::max(H5Tget_size(type), sizeof(T)), true);
  // H5Aread cannot be told to refuse numbers out of range (it clips them), so whole numbers are compared in
  // 64 bits.
  std::vector<T> values(count);
  if (count > 0 && H5Aread(id, Type<T>::memory(), values.data()) < 0) fail("read", name, *handle_);
  if constexpr (std::is_integral_v<T>) {
    const bool with_sign = H5Tget_sign(type) != H5T_SGN_NONE;
    std::vector<std::int64_t> wide(count);
    if (count > 0 && H5Aread(id, with_sign ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64, wide.data()) < 0) {
      fail("read", name, *handle_);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const bool same = with_sign ? std::cmp_equal(wide[i], values[i])
                                  : std::cmp_equal(static_cast<std::uint64_t>(wide[i]), values[i]);
      if (!same) refuse(*handle_, name, "a number is too large or too small");
    }
  }
  return values;
}

std::vector<std::string> Group::attributes(const std::string& object) const {
  const Guard guard(handle_->file->name);
  const std::string where = target(object);
  if (!exists(handle_->id, where)) refuse(*handle_, object, "there is no such object");
  const Id id(H5Oopen(handle_->id, where.c_str(), H5P_DEFAULT), H5Oclose);
  if (!id.valid()) fail("open", object, *handle_);
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  if (H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names) < 0) fail("read", object, *handle_);
  return names;
}

std::string Group::attribute_text(const std::string& attribute, const std::string& object) const {
  const Guard guard(handle_->file->name);
  const Id id = open_attribute(*handle_, attribute, object);
  if (!id.valid()) refuse(*handle_, label(attribute, object), "there is no such attribute");
  const Id type(H5Aget_type(id), H5Tclose);
  const Id space(H5Aget_space(id), H5Sclose);
  std::vector<std::string> parts;
  switch (H5Tget_class(type)) {
    case H5T_STRING:
      parts = decode_strings(*handle_, label(attribute, object), type, space, read_attribute, id, true);
      break;
    case H5T_FLOAT:
      if (const auto values = get<double>(attribute, object)) {
        for (const double value : *values) parts.push_back(to_text(value));
      }
      break;
    case H5T_INTEGER:
      if (H5Tget_sign(type) == H5T_SGN_NONE) {
        if (const auto values = get<std::uint64_t>(attribute, object)) {
          for (const auto value : *values) parts.push_back(std::to_string(value));
        }
      } else if (const auto values = get<std::int64_t>(attribute, object)) {
        for (const auto value : *values) parts.push_back(std::to_string(value));
      }
      break;
    default:
      return "(other)";
  }
  return join(parts, ", ");
}

#define TEMBLOR_INSTANTIATE(T)                                                                   \
  template void Group::set<T>(const std::string&, std::span<const T>, const std::string&) const; \
  template std::optional<std::vector<T>> Group::get<T>(const std::string&, const std::string&) const;
TEMBLOR_HDF5_FOR_EACH_TYPE(TEMBLOR_INSTANTIATE)
#undef TEMBLOR_INSTANTIATE

}  // namespace temblor::hdf5
