#include "library.hpp"

#include <algorithm>

#include <hdf5_hl.h>

#include <temblor/base/error.hpp>

namespace temblor::hdf5 {

using namespace detail;

namespace {

constexpr std::ptrdiff_t deepest = 64;

}  // namespace

Group::Group(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}

const std::string& Group::file_name() const {
  return handle_->file->name;
}
std::string Group::path() const {
  return handle_->path;
}

Group Group::group(const std::string& name) const {
  const Guard guard(handle_->file->name);
  // A group that links to one above it would nest for ever.
  const std::string absolute = handle_->absolute(name);
  if (std::count(absolute.begin(), absolute.end(), '/') > deepest)
    refuse(*handle_, name, "groups nest too deeply");
  if (!has(name)) refuse(*handle_, name, "there is no such group");
  if (is_dataset(name)) refuse(*handle_, name, "it is a dataset, a group is needed");
  Id id(H5Gopen2(handle_->id, name.c_str(), H5P_DEFAULT), H5Gclose);
  if (!id.valid()) fail("open", name, *handle_);
  return Group(std::make_shared<Handle>(Handle{{handle_->file, std::move(id), handle_->absolute(name)}}));
}

Group Group::create_group(const std::string& name) const {
  const Guard guard(handle_->file->name);
  if (has(name)) return group(name);
  const Id creation = creation_of(H5P_GROUP_CREATE);
  Id id(H5Gcreate2(handle_->id, name.c_str(), creation_of_links(), creation, H5P_DEFAULT), H5Gclose);
  if (!id.valid()) fail("create", name, *handle_);
  return Group(std::make_shared<Handle>(Handle{{handle_->file, std::move(id), handle_->absolute(name)}}));
}

bool Group::has(const std::string& name) const {
  const Guard guard(handle_->file->name);
  return exists(handle_->id, name);
}

bool Group::is_dataset(const std::string& name) const {
  const Guard guard(handle_->file->name);
  if (!exists(handle_->id, name)) return false;
  H5O_info_t info{};
  if (H5Oget_info_by_name2(handle_->id, name.empty() ? "." : name.c_str(), &info, H5O_INFO_BASIC,
                           H5P_DEFAULT) < 0) {
    fail("open", name, *handle_);
  }
  return info.type == H5O_TYPE_DATASET;
}

std::vector<std::string> Group::children() const {
  const Guard guard(handle_->file->name);
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  hsize_t position = 0;
  if (H5Literate(handle_->id, H5_INDEX_NAME, H5_ITER_INC, &position, add, &names) < 0)
    fail("read", "", *handle_);
  return names;
}

void Group::attach_scale(const std::string& dataset, unsigned axis, const std::string& scale,
                         const std::string& scale_name) const {
  const Guard guard(handle_->file->name);
  const Id set(H5Dopen2(handle_->id, dataset.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set.valid()) fail("open", dataset, *handle_);
  const Id dimension(H5Dopen2(handle_->id, scale.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dimension.valid()) fail("open", scale, *handle_);
  if (H5DSis_scale(dimension) <= 0 && H5DSset_scale(dimension, scale_name.c_str()) < 0) {
    fail("write", scale, *handle_);
  }
  if (H5DSattach_scale(set, dimension, axis) < 0) fail("write", dataset, *handle_);
}

}  // namespace temblor::hdf5
