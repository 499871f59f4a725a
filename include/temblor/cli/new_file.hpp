#pragma once

#include <string>

#include <temblor/cli/subcommand.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/hdf5/file.hpp>

namespace temblor::cli {

/// An HDF5 file that appears under its name only when it is complete.
class NewFile {
 public:
  explicit NewFile(std::string path);
  ~NewFile();  ///< removes what is not finished
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  const hdf5::File& file() const { return file_; }
  /// Syncs, closes and renames. Bad-input error when the name cannot be taken.
  void finish();

 private:
  std::string path_;
  std::string fresh_;
  hdf5::File file_;
  bool done_ = false;
};

/// Group /provenance of a file that one command made from --network and `data`.
void write_provenance(const hdf5::File& file, const Arguments& arguments, const Dataset& data);

}  // namespace temblor::cli
