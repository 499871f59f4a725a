#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <temblor/hdf5/file.hpp>

namespace temblor {

inline constexpr const char* result_filetype = "temblor-result";
inline constexpr const char* bounds_filetype = "temblor-bounds";
inline constexpr const char* certificates_filetype = "temblor-certificates";
inline constexpr const char* partial_filetype = "temblor-partial";  ///< NAME.h5.partial of a running campaign
inline constexpr std::int32_t result_major = 1;
inline constexpr std::int32_t result_minor = 2;

/// Element type of a dataset in a result file.
enum class Element { uint8, int32, int64, float32, float64, text };
std::string to_text(Element element);  ///< "int64", "float64", "text", ...

/// One dataset of the result file: everything its writer, its readers and docs/result-file.md need to know.
struct DatasetSpec {
  std::string path;  ///< "/margins/worst_drop"; NAME stands for a bound's name in "/bounds/NAME/value"
  std::vector<std::string> dims;  ///< names from result_dimensions(), slowest first
  Element type;
  std::string unit;     ///< "" for counts, indices and text
  std::string meaning;  ///< one line
};

/// A dimension and the dataset that is its scale.
struct Dimension {
  std::string name;
  std::string scale;  ///< path; "" when it has none
  std::string meaning;
};

/// An attribute of the root group, or of /bounds/NAME.
struct AttributeSpec {
  std::string object;  ///< "/" or "/bounds/NAME"
  std::string name;
  std::string meaning;
};

/// The whole file, in the order of docs/result-file.md. An incomplete or inconsistent row throws at first
/// use.
const std::vector<DatasetSpec>& result_schema();
const std::vector<Dimension>& result_dimensions();
const std::vector<AttributeSpec>& result_attributes();
/// Row of the table for a path; `/bounds/interval/value` finds `/bounds/NAME/value`. Internal error when
/// unknown.
const DatasetSpec& find_dataset(std::string_view path);
/// The reference document, in Markdown.
std::string result_reference();

/// Writes one dataset of the schema with its attributes `unit` and `meaning`; internal error when rank or
/// type differ from the table. Scales are attached by attach_scales.
template <class T>
void write_item(const hdf5::Group& file, const std::string& path, std::span<const T> values,
                const hdf5::Dims& dims);
void write_item(const hdf5::Group& file, const std::string& path, const std::vector<std::string>& values);
/// Creates one dataset of the schema, to be filled by write_slab.
template <class T>
void create_item(const hdf5::Group& file, const std::string& path, const hdf5::Dims& dims);
/// Attaches the dimension scales of every schema dataset the file has.
void attach_scales(const hdf5::Group& file);

}  // namespace temblor
