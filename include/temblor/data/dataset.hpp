#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <temblor/network/network.hpp>

namespace temblor {

/// Labelled images as read, before scaling.
struct RawImages {
  Shape shape;                       ///< of one image
  Matrix values;                     ///< [images x values], raw (0..255 for bytes)
  std::vector<std::int32_t> labels;  ///< [images]
  std::vector<std::string> files;    ///< what was read
  bool bytes = false;                ///< values are bytes, so that no image has one outside 0..255
  std::string kind{};                ///< name of the reader's table entry; filled in by read_images
  Index classes = 0;                 ///< filled in by read_images: of the named set, or largest label + 1
};

enum class Split { train, test };

/// A reader: one file in datasets/ and one line in datasets/table.cpp.
struct DatasetEntry {
  std::string name;                 ///< named set ("fashion-mnist") or format ("csv", "idx")
  std::string help;                 ///< one line
  std::string example;              ///< value of --dataset that uses it
  std::vector<std::string> places;  ///< usual directories of a named set, tried in order
  std::string package;              ///< Debian package that has it, "" when there is none
  int classes;                      ///< number of classes, 0 when the data tell
  /// Reads one split from `path` (directory of a named set, a file, or the parameters of a generator).
  RawImages (*read)(const std::string& path, Split split);
  /// Whether a directory holds this named set's split; null for formats and generators.
  bool (*holds)(const std::string& directory, Split split);
};

/// All readers. Incomplete entries throw at first use.
const std::vector<DatasetEntry>& dataset_table();

/// Which images of a set: "all", "first:N", "range:A:B" (half open), "stratified:N" (N/classes of each class,
/// first of each), "random:N[:SEED]" (without replacement, kept in index order).
struct DataRequest {
  /// Table name ("mnist"), table name with a path or parameters ("csv:data.txt", "synthetic:n=50"), or a path
  /// whose kind its name tells (.csv, .h5, .bin, ...-ubyte, all but .h5 also with .gz; a directory of such).
  std::string set;
  Split split = Split::test;
  std::string directory{};  ///< --data-dir; else TEMBLOR_DATA (and TEMBLOR_DATA/NAME), else the usual places
  std::string select = "all";
};

/// Images ready for a network.
struct Dataset {
  std::string name;
  Split split = Split::test;
  std::string select;
  Shape shape;
  Index classes = 0;
  Matrix images;                     ///< [images x values], scaled
  std::vector<std::int32_t> labels;  ///< [images], 0..classes-1
  std::vector<std::int64_t> index;   ///< [images], position in the whole split
  InputScaling scaling;
  Vector least{};  ///< [values], scaled: no image can have less; empty when the data state no range
  Vector most{};   ///< likewise upward
  std::vector<std::string> files;  ///< what was read
  std::string id;                  ///< SHA-256 over scaled image bytes, labels and index

  Index size() const { return images.rows(); }
};

/// Labels above this are taken for damage.
constexpr std::int32_t most_label = 99999;
/// Values of all images together; more are refused before memory is taken.
constexpr std::uint64_t most_values = std::uint64_t{1} << 31U;

/// Rows that a selection takes, ascending. Usage error for unknown words and for more images than there are.
std::vector<std::int64_t> select_images(const std::string& select, const std::vector<std::int32_t>& labels,
                                        Index classes);

/// Finds and reads a whole split; labels are checked. `select` is not looked at.
RawImages read_images(const DataRequest& request);
/// Finds, reads, selects and scales. Errors name the file, or list the places looked at and the package that
/// has it.
Dataset load_dataset(const DataRequest& request, const InputScaling& scaling);

/// Refuses, naming both, a dataset whose image size or number of classes the network does not have.
void check_fits(const Network& network, const std::string& network_name, const Dataset& data);

}  // namespace temblor
