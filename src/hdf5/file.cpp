#include "library.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include <temblor/base/error.hpp>

namespace temblor::hdf5 {

using namespace detail;

namespace {

// Closing an id clears the error stack, so lists handed to HDF5 are never temporaries.
Id access_list(bool lock) {
  Id list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(list, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
  H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
  // Slabs go to the operating system as they are: nothing of a dataset waits in this process.
  H5Pset_sieve_buf_size(list, 0);
  H5Pset_file_locking(list, lock, true);
  return list;
}

Id creation_list() {
  Id list(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(list, false);
  return list;
}

Node root(const std::string& name, hid_t id) {
  auto file = std::make_shared<OpenFile>(name, id);
  Id group(H5Gopen2(id, "/", H5P_DEFAULT), H5Gclose);
  if (!group.valid()) fail("open", "/", name);
  return {std::move(file), std::move(group), "/"};
}

}  // namespace

File File::create(const std::string& path) {
  const Guard guard(path);
  const auto parent = std::filesystem::absolute(path).parent_path();
  std::error_code ignored;
  if (!std::filesystem::is_directory(parent, ignored)) {
    input_error("cannot create '" + path + "'", "the directory '" + parent.string() + "' does not exist",
                "create it or choose another");
  }
  const Id creation = creation_list();
  const Id access = access_list(true);
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access);
  if (id < 0) fail_file("create", path);
  return File(std::make_shared<Handle>(Handle{root(path, id)}));
}

File File::open(const std::string& path, Mode mode) {
  const Guard guard(path);
  std::error_code missing;
  const auto status = std::filesystem::status(path, missing);
  if (!std::filesystem::exists(status)) {
    const std::string why = missing ? missing.message() : "no such file";
    input_error("cannot open '" + path + "'", why, "check the path");
  }
  if (!std::filesystem::is_regular_file(status))
    input_error("cannot open '" + path + "'", "not a file", "check the path");
  if (::access(path.c_str(), R_OK) != 0) {
    input_error("cannot open '" + path + "'", std::strerror(errno), "check the permissions");
  }
  if (H5Fis_hdf5(path.c_str()) == 0) {
    input_error("cannot open '" + path + "'", "not an HDF5 file",
                "check the path; the file may be empty or of another kind");
  }
  const bool update = mode == Mode::update;
  const Id access = access_list(update);
  const hid_t id = H5Fopen(path.c_str(), update ? H5F_ACC_RDWR : H5F_ACC_RDONLY, access);
  if (id < 0) fail_file("open", path);
  return File(std::make_shared<Handle>(Handle{root(path, id)}));
}

File File::in_memory(const std::string& name) {
  static std::atomic<unsigned> number{0};
  const Guard guard(name);
  const Id creation = creation_list();
  const Id access = access_list(false);
  H5Pset_fapl_core(access, std::size_t{1} << 20U, false);
  // HDF5 takes two files of one name for the same file.
  const std::string unique = name + "#" + std::to_string(number++);
  const hid_t id = H5Fcreate(unique.c_str(), H5F_ACC_TRUNC, creation, access);
  if (id < 0) fail_file("create", name);
  return File(std::make_shared<Handle>(Handle{root(name, id)}));
}

void File::flush() const {
  const Guard guard(handle_->file->name);
  if (H5Fflush(handle_->file->id, H5F_SCOPE_GLOBAL) < 0) fail_file("write", file_name());
}

void File::sync() const {
  flush();
  const int descriptor = ::open(file_name().c_str(), O_RDONLY | O_CLOEXEC);
  const bool failed = descriptor < 0 || ::fsync(descriptor) != 0;
  const int number = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (failed) input_error("cannot write '" + file_name() + "'", std::strerror(number), "check the disk");
}

void File::close() const {
  const Guard guard(handle_->file->name);
  const hid_t id = std::exchange(handle_->file->id, H5I_INVALID_HID);
  if (id < 0) return;
  if (H5Fclose(id) < 0) fail_file("write", file_name());
}

std::uint64_t File::size() const {
  const Guard guard(handle_->file->name);
  return file_size(*handle_->file);
}

}  // namespace temblor::hdf5
