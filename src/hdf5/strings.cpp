#include "library.hpp"

#include <algorithm>
#include <cstring>

#include <temblor/base/error.hpp>

namespace temblor::hdf5 {

using namespace detail;

namespace detail {

Id text_type() {
  Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

std::vector<std::string> decode_strings(const Node& node, const std::string& object, hid_t type, hid_t space,
                                        herr_t (*read)(hid_t, hid_t, void*), hid_t object_id,
                                        bool stored_plain) {
  if (H5Tget_class(type) != H5T_STRING)
    refuse(node, object, "it holds " + type_name(type) + ", text is needed");
  const hssize_t points = H5Sget_simple_extent_npoints(space);
  if (points < 0) fail("read", object, node);
  const auto count = static_cast<std::size_t>(points);
  const bool variable = H5Tis_variable_str(type) > 0;
  // Packed data may be far smaller than the strings that they become.
  const std::size_t stored = variable ? 16 : H5Tget_size(type);
  check_bytes(node, object, count, stored_plain ? stored : std::max(stored, sizeof(std::string)),
              stored_plain);
  std::vector<std::string> values(count);
  if (count == 0) return values;
  if (variable) {
    const Id memory = text_type();
    H5Tset_cset(memory, H5Tget_cset(type));
    std::vector<char*> pointers(count, nullptr);
    const herr_t status = read(object_id, memory, pointers.data());
    if (status < 0) fail("read", object, node);
    for (std::size_t i = 0; i < count; ++i) {
      if (pointers[i] != nullptr) values[i] = pointers[i];
    }
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, pointers.data());
  } else {
    const std::size_t size = H5Tget_size(type);
    std::string bytes(count * size, '\0');
    if (read(object_id, type, bytes.data()) < 0) fail("read", object, node);
    const bool spaces = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = bytes.substr(i * size, strnlen(bytes.data() + i * size, size));
      if (spaces) values[i].resize(values[i].find_last_not_of(' ') + 1);
    }
  }
  return values;
}

}  // namespace detail

void Group::write_strings(const std::string& name, const std::vector<std::string>& values) const {
  const Guard guard(handle_->file->name);
  std::vector<const char*> pointers;
  for (const auto& value : values) pointers.push_back(value.c_str());
  const hsize_t count = values.size();
  const Id type = text_type();
  const Id space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  const Id creation = creation_of(H5P_DATASET_CREATE);
  Id set(H5Dcreate2(handle_->id, name.c_str(), type, space, creation_of_links(), creation, H5P_DEFAULT),
         H5Dclose);
  if (!set.valid()) fail("create", name, *handle_);
  if (count > 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) < 0) {
    fail("write", name, *handle_);
  }
  if (!set.close()) fail("write", name, *handle_);
}

std::vector<std::string> Group::read_strings(const std::string& name) const {
  const Guard guard(handle_->file->name);
  if (!is_dataset(name)) refuse(*handle_, name, "there is no such dataset");
  const Id set(H5Dopen2(handle_->id, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set.valid()) fail("open", name, *handle_);
  const Id type(H5Dget_type(set), H5Tclose);
  const Id space(H5Dget_space(set), H5Sclose);
  const Id creation(H5Dget_create_plist(set), H5Pclose);
  if (!creation.valid()) fail("read", name, *handle_);
  if (H5Pget_layout(creation) == H5D_VIRTUAL || H5Pget_external_count(creation) > 0) {
    refuse(*handle_, name, "its values are stored in another file");
  }
  const auto read = [](hid_t id, hid_t memory, void* buffer) {
    return H5Dread(id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer);
  };
  return decode_strings(*handle_, name, type, space, read, set, H5Pget_layout(creation) != H5D_CHUNKED);
}

}  // namespace temblor::hdf5
