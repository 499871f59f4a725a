#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <hdf5.h>

#include <temblor/hdf5/file.hpp>

/// Private to src/hdf5: what stands between the wrapper and the C library.
namespace temblor::hdf5::detail {

/// Held around every call into HDF5. Whether a build of HDF5 is thread-safe depends on how it was configured,
/// and its high-level library never is, so the wrapper serialises all calls of the process by one recursive
/// mutex. The error stack belongs to the thread in some builds: printing is switched off each time.
class Guard {
 public:
  Guard();
  explicit Guard(const std::string& file);  ///< `file` is named should HDF5 crash (explain_crashes)
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  /// The file that this thread's HDF5 call works on; null outside such calls.
  static const char* file_of_this_thread();

 private:
  const char* outer_ = nullptr;
  std::lock_guard<std::recursive_mutex> lock_;
};

/// An HDF5 identifier that closes itself.
class Id {
 public:
  using Close = herr_t (*)(hid_t);
  Id(hid_t id, Close closer) : id_(id), close_(closer) {}
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Id& operator=(Id&&) = delete;
  ~Id();

  bool valid() const { return id_ >= 0; }
  /// Closes now; false when that failed: cached chunks are written by closing their dataset.
  bool close();
  operator hid_t() const { return id_; }  // NOLINT(google-explicit-constructor): used as the C API uses ids

 private:
  hid_t id_;
  Close close_;
};

/// One opened file; the last group that uses it closes it.
struct OpenFile {
  OpenFile(std::string file_name, hid_t file_id) : name(std::move(file_name)), id(file_id) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile();

  std::string name;
  hid_t id;
};

/// A group in an opened file.
struct Node {
  std::shared_ptr<OpenFile> file;
  Id id;
  std::string path;  ///< absolute

  std::string absolute(const std::string& name) const;
};

/// Throws what the error stack says went wrong; `action` is "read", "write", "create", ...
[[noreturn]] void fail(const std::string& action, const std::string& object, const std::string& file);
[[noreturn]] void fail(const std::string& action, const std::string& object, const Node& node);
/// Throws for a file that HDF5 could not open or create.
[[noreturn]] void fail_file(const std::string& action, const std::string& file);
/// Throws a bad-input error "'object' in 'file' (why)" with the cure for foreign files.
[[noreturn]] void refuse(const Node& node, const std::string& object, const std::string& why);

std::uint64_t file_size(const OpenFile& file);
/// Refuses data of so many bytes that no file of this size can hold it, compressed by deflate or not.
void check_bytes(const Node& node, const std::string& object, std::uint64_t elements,
                 std::uint64_t element_size, bool stored_plain);
/// Whether every link of the path `name` below `location` is there and leads to an object.
bool exists(hid_t location, const std::string& name);

hid_t creation_of_links();   ///< link creation property list: intermediate groups are made
Id creation_of(hid_t kind);  ///< object creation property list without times

/// Text of a space of string elements, fixed or variable length; `read` fills the buffer it is given.
std::vector<std::string> decode_strings(const Node& node, const std::string& object, hid_t type, hid_t space,
                                        herr_t (*read)(hid_t object_id, hid_t memory_type, void* buffer),
                                        hid_t object_id, bool stored_plain);
Id text_type();  ///< variable-length UTF-8
/// "float32", "int64", "uint8", "text", or "other".
std::string type_name(hid_t type);
Dims dims_of(hid_t space);

template <class T>
struct Type;
template <>
struct Type<float> {
  static hid_t memory() { return H5T_NATIVE_FLOAT; }
  static hid_t file() { return H5T_IEEE_F32LE; }
};
template <>
struct Type<double> {
  static hid_t memory() { return H5T_NATIVE_DOUBLE; }
  static hid_t file() { return H5T_IEEE_F64LE; }
};
template <>
struct Type<std::int8_t> {
  static hid_t memory() { return H5T_NATIVE_INT8; }
  static hid_t file() { return H5T_STD_I8LE; }
};
template <>
struct Type<std::uint8_t> {
  static hid_t memory() { return H5T_NATIVE_UINT8; }
  static hid_t file() { return H5T_STD_U8LE; }
};
template <>
struct Type<std::int32_t> {
  static hid_t memory() { return H5T_NATIVE_INT32; }
  static hid_t file() { return H5T_STD_I32LE; }
};
template <>
struct Type<std::uint32_t> {
  static hid_t memory() { return H5T_NATIVE_UINT32; }
  static hid_t file() { return H5T_STD_U32LE; }
};
template <>
struct Type<std::int64_t> {
  static hid_t memory() { return H5T_NATIVE_INT64; }
  static hid_t file() { return H5T_STD_I64LE; }
};
template <>
struct Type<std::uint64_t> {
  static hid_t memory() { return H5T_NATIVE_UINT64; }
  static hid_t file() { return H5T_STD_U64LE; }
};

/// Refuses text, and reals where whole numbers are wanted.
void check_kind(const Node& node, const std::string& object, hid_t type, bool reals);

}  // namespace temblor::hdf5::detail

namespace temblor::hdf5 {

struct Group::Handle : detail::Node {};

}  // namespace temblor::hdf5

#define TEMBLOR_HDF5_FOR_EACH_TYPE(DO) \
  DO(float)                            \
  DO(double)                           \
  DO(std::int8_t)                      \
  DO(std::uint8_t)                     \
  DO(std::int32_t)                     \
  DO(std::uint32_t)                    \
  DO(std::int64_t)                     \
  DO(std::uint64_t)
