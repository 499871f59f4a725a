#include "library.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <temblor/base/error.hpp>

namespace temblor::hdf5::detail {
namespace {

std::recursive_mutex& library_mutex() {
  static auto* mutex = new std::recursive_mutex;  // never destroyed: handles may outlive static objects
  return *mutex;
}

thread_local const char* working_on = nullptr;

struct Reason {
  std::string text;
  int number = 0;  ///< errno, 0 when the operating system did not refuse
};

herr_t collect(unsigned depth, const H5E_error2_t* error, void* data) {
  auto& reason = *static_cast<Reason*>(data);
  const std::string_view text = error->desc != nullptr ? error->desc : "";
  if (depth == 0) reason.text = text;
  const std::string_view mark = "errno = ";
  const auto at = text.find(mark);
  if (reason.number == 0 && at != std::string_view::npos) {
    reason.number = std::atoi(std::string(text.substr(at + mark.size(), 6)).c_str());
  }
  return 0;
}

Reason last_reason() {
  Reason reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &reason);
  H5Eclear2(H5E_DEFAULT);
  if (reason.number != 0) reason.text = std::strerror(reason.number);
  if (reason.number == ENOSPC || reason.number == EDQUOT) reason.text += ", disk full";
  if (reason.text.empty()) reason.text = "HDF5 gives no reason";
  return reason;
}

std::string cure_of(const Reason& reason, bool reading) {
  switch (reason.number) {
    case ENOSPC:
    case EDQUOT:
      return "free some space or choose another disk, then run the same command again";
    case EFBIG:
      return "raise the limit on file sizes (ulimit -f) or choose another disk, then run the same command "
             "again";
    case EACCES:
    case EPERM:
      return "check the permissions";
    case EROFS:
      return "choose another directory";
    case EAGAIN:
      return "another program is writing this file: wait until it ends";
    default:
      return reading ? "the file is damaged or of another kind: write it again"
                     : "check the disk and the directory";
  }
}

}  // namespace

Guard::Guard() : outer_(working_on), lock_(library_mutex()) {
  // Without the exit handler: after a failed write (full disk) it would try to write again while the program
  // ends.
  static const bool started = (H5dont_atexit(), H5open(), true);
  static_cast<void>(started);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5Eclear2(H5E_DEFAULT);
}

Guard::Guard(const std::string& file) : Guard() {
  working_on = file.c_str();
}

Guard::~Guard() {
  working_on = outer_;
}

const char* Guard::file_of_this_thread() {
  return working_on;
}

Id::~Id() {
  if (id_ < 0) return;
  const Guard guard;
  close_(id_);
}

bool Id::close() {
  const Guard guard;
  return close_(std::exchange(id_, H5I_INVALID_HID)) >= 0;
}

OpenFile::~OpenFile() {
  if (id < 0) return;
  const Guard guard;
  H5Fclose(id);
}

std::string Node::absolute(const std::string& name) const {
  if (name.empty() || name == ".") return path;
  if (name.front() == '/') return name;
  return path == "/" ? "/" + name : path + "/" + name;
}

void fail(const std::string& action, const std::string& object, const std::string& file) {
  const Reason reason = last_reason();
  input_error("cannot " + action + " '" + object + "' in '" + file + "'", reason.text,
              cure_of(reason, action == "read" || action == "open"));
}

void fail(const std::string& action, const std::string& object, const Node& node) {
  fail(action, node.absolute(object), node.file->name);
}

void fail_file(const std::string& action, const std::string& file) {
  const Reason reason = last_reason();
  input_error("cannot " + action + " '" + file + "'", reason.text, cure_of(reason, action == "open"));
}

void refuse(const Node& node, const std::string& object, const std::string& why) {
  input_error("'" + node.absolute(object) + "' in '" + node.file->name + "'", why,
              "the file is damaged or of another kind: write it again");
}

std::uint64_t file_size(const OpenFile& file) {
  hsize_t size = 0;
  if (H5Fget_filesize(file.id, &size) < 0) fail_file("read", file.name);
  return size;
}

void check_bytes(const Node& node, const std::string& object, std::uint64_t elements,
                 std::uint64_t element_size, bool stored_plain) {
  // Deflate shrinks by 1032 at most; the slack allows small datasets that were never written.
  const std::uint64_t most = file_size(*node.file) * (stored_plain ? 1 : 1032) + (std::uint64_t{1} << 16U);
  if (element_size == 0 || elements > most / element_size) {
    refuse(node, object,
           "it claims " + std::to_string(elements) + " elements, more than a file of this size can hold");
  }
}

bool exists(hid_t location, const std::string& name) {
  if (name.empty() || name == "." || name == "/") return true;
  for (std::size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {
    const std::string prefix = name.substr(0, end);
    if (H5Lexists(location, prefix.c_str(), H5P_DEFAULT) <= 0) return false;
    if (H5Oexists_by_name(location, prefix.c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == std::string::npos) return true;
  }
}

hid_t creation_of_links() {
  static const hid_t list = [] {
    const hid_t id = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(id, 1);
    H5Pset_char_encoding(id, H5T_CSET_UTF8);
    return id;
  }();
  return list;
}

Id creation_of(hid_t kind) {
  Id list(H5Pcreate(kind), H5Pclose);
  H5Pset_obj_track_times(list, false);
  return list;
}

Dims dims_of(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank <= 0) return {};
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  return {sizes.begin(), sizes.end()};
}

void check_kind(const Node& node, const std::string& object, hid_t type, bool reals) {
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_INTEGER || (kind == H5T_FLOAT && reals)) return;
  refuse(node, object,
         "it holds " + type_name(type) + ", " + (reals ? "numbers" : "whole numbers") + " are needed");
}

std::string type_name(hid_t type) {
  const std::string bits = std::to_string(8 * H5Tget_size(type));
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      return "float" + bits;
    case H5T_INTEGER:
      return (H5Tget_sign(type) == H5T_SGN_NONE ? "uint" : "int") + bits;
    case H5T_STRING:
      return "text";
    default:
      return "other";
  }
}

}  // namespace temblor::hdf5::detail
