#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace temblor::hdf5 {

/// How a dataset is laid out. `early` is the crash-safe form of running campaigns: contiguous, allocated in
/// full at creation, no filter, so that a later write changes raw bytes only and never metadata.
enum class Layout { early, compressed };

/// Dimensions of a dataset, slowest first; empty for a scalar.
using Dims = std::vector<std::uint64_t>;

/// An HDF5 file or a group in it. Handles close themselves; copying shares the handle. All errors are
/// temblor::Error naming the file and the object (bad_input for reading, with the cure; a failed write - full
/// disk - says so). Element types T: float, double, std::int8_t, std::uint8_t, std::int32_t, std::uint32_t,
/// std::int64_t, std::uint64_t. Names may contain '/' (intermediate groups are created on writing). Files are
/// written in the oldest format (H5F_LIBVER_EARLIEST: no open-for-write flag that a kill would leave set),
/// without object times, so that equal contents give equal bytes.
class Group {
 public:
  Group group(const std::string& name) const;  ///< opens; error naming the path when it is not there
  Group create_group(
      const std::string& name) const;       ///< creates, intermediate groups too; opens when it exists
  bool has(const std::string& name) const;  ///< a dataset or group of that path exists
  bool is_dataset(const std::string& name) const;
  std::vector<std::string> children() const;  ///< names of links, in alphabetical order
  Dims dims(const std::string& dataset) const;
  std::string type(const std::string& dataset) const;  ///< "float32", "int64", "uint8", "text", or "other"

  /// Creates a dataset and writes it whole. values.size() must be the product of dims.
  template <class T>
  void write(const std::string& name, std::span<const T> values, const Dims& dims,
             Layout layout = Layout::compressed) const;
  void write_strings(const std::string& name,
                     const std::vector<std::string>& values) const;  ///< variable-length UTF-8

  /// Creates a dataset of `dims` filled with `fill`, to be overwritten by write_slab.
  template <class T>
  void create(const std::string& name, const Dims& dims, T fill, Layout layout = Layout::early) const;
  /// Overwrites the block [offset, offset + count) of an existing dataset.
  template <class T>
  void write_slab(const std::string& name, std::span<const T> values, const Dims& offset,
                  const Dims& count) const;

  /// Reads a whole dataset, converting numbers when the file's type is another (refused where values cannot
  /// fit the kind: a float dataset is not read as integers, text not as numbers). Hostile sizes (more bytes
  /// than the file has, for uncompressed data; more than `most` elements) are refused before memory is taken.
  template <class T>
  std::vector<T> read(const std::string& name, std::uint64_t most = std::uint64_t{1} << 33U) const;
  template <class T>
  std::vector<T> read_slab(const std::string& name, const Dims& offset, const Dims& count) const;
  std::vector<std::string> read_strings(const std::string& name) const;

  /// Attributes, on this group ("" as object) or on a child object. Text is fixed or variable-length UTF-8
  /// when read.
  void set_text(const std::string& attribute, const std::string& value, const std::string& object = "") const;
  template <class T>
  void set(const std::string& attribute, std::span<const T> values, const std::string& object = "") const;
  std::optional<std::string> text(const std::string& attribute, const std::string& object = "") const;
  template <class T>
  std::optional<std::vector<T>> get(const std::string& attribute, const std::string& object = "") const;
  /// A list of texts; empty where the attribute is empty, whatever its type (h5py writes an empty list so).
  std::optional<std::vector<std::string>> texts(const std::string& attribute,
                                                const std::string& object = "") const;
  std::vector<std::string> attributes(const std::string& object = "") const;
  /// Any attribute as people read it: "0.5, 1", text as it is.
  std::string attribute_text(const std::string& attribute, const std::string& object = "") const;

  /// Dimension scales (H5DS): marks `scale` as a scale and attaches it to dimension `axis` of `dataset`.
  void attach_scale(const std::string& dataset, unsigned axis, const std::string& scale,
                    const std::string& scale_name) const;

  const std::string& file_name() const;
  std::string path() const;

 protected:
  struct Handle;
  explicit Group(std::shared_ptr<Handle> handle);
  std::shared_ptr<Handle> handle_;
};

class File : public Group {
 public:
  enum class Mode { read, update };
  using Group::create;
  static File create(const std::string& path);  ///< truncates; the directory must exist (bad_input error)
  static File open(const std::string& path,
                   Mode mode);  ///< not HDF5, truncated, missing: bad_input naming the cure
  static File in_memory(
      const std::string& name);  ///< for tests and size estimates: core driver, no backing store
  void flush() const;            ///< everything written so far reaches the operating system
  void sync() const;             ///< flush, then fsync of the file
  /// Flushes and closes; this and every group of the file must not be used any more. Without it the file
  /// closes with its last handle, and a full disk met while closing goes unnoticed: call it after writing.
  void close() const;
  std::uint64_t size() const;  ///< bytes the file has now

 private:
  using Group::Group;
};

/// Every temblor file carries attributes filetype (text) and schema_version (two integers, major then minor).
/// Writes them on the root group.
void stamp(const File& file, const std::string& filetype, std::int32_t major, std::int32_t minor);
/// Refuses another filetype or major version, naming what was found, what is needed and the cure.
void check_stamp(const File& file, const std::string& filetype, std::int32_t major);

}  // namespace temblor::hdf5
