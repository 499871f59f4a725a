#include <algorithm>
#include <set>
#include <type_traits>

#include <temblor/base/error.hpp>
#include <temblor/campaign/schema.hpp>

namespace temblor {

const std::vector<DatasetSpec>& result_table();
const std::vector<DatasetSpec>& certificate_table();

namespace {

constexpr std::string_view bounds_root = "/bounds/";

/// "/bounds/interval/value" -> "/bounds/NAME/value"; other paths unchanged.
std::string generic(std::string_view path) {
  std::string text(path);
  if (path.substr(0, bounds_root.size()) != bounds_root) return text;
  const auto slash = path.find('/', bounds_root.size());
  if (slash == std::string_view::npos) return text;
  return std::string(bounds_root) + "NAME" + std::string(path.substr(slash));
}

const Dimension& find_dimension(const std::string& name) {
  for (const auto& dimension : result_dimensions()) {
    if (dimension.name == name) return dimension;
  }
  internal_error("result schema has no dimension '" + name + "'");
}

void check_table(const std::vector<DatasetSpec>& table) {
  std::set<std::string> paths;
  for (const auto& row : table) {
    ensure(row.path.starts_with("/") && !row.meaning.empty() && paths.insert(row.path).second,
           "result schema, row '" + row.path + "' is complete and unique");
    for (const auto& dim : row.dims) find_dimension(dim);
  }
  for (const auto& dimension : result_dimensions()) {
    ensure(dimension.scale.empty() || paths.contains(dimension.scale),
           "scale of dimension " + dimension.name);
  }
}

template <class T>
Element element_of() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return Element::uint8;
  if constexpr (std::is_same_v<T, std::int32_t>) return Element::int32;
  if constexpr (std::is_same_v<T, std::int64_t>) return Element::int64;
  if constexpr (std::is_same_v<T, float>) return Element::float32;
  if constexpr (std::is_same_v<T, double>) return Element::float64;
}

void describe(const hdf5::Group& file, const std::string& path, const DatasetSpec& spec) {
  file.set_text("unit", spec.unit, path);
  file.set_text("meaning", spec.meaning, path);
}

void attach(const hdf5::Group& file, const std::string& path, const std::string& bound) {
  const auto& spec = find_dataset(path);
  for (unsigned axis = 0; axis < spec.dims.size(); ++axis) {
    const auto& dimension = find_dimension(spec.dims[axis]);
    std::string scale = dimension.scale;
    if (const auto at = scale.find("NAME"); at != std::string::npos) scale.replace(at, 4, bound);
    if (scale.empty() || scale == path || !file.has(scale)) continue;
    file.attach_scale(path, axis, scale, dimension.name);
  }
}

}  // namespace

std::string to_text(Element element) {
  switch (element) {
    case Element::uint8:
      return "uint8";
    case Element::int32:
      return "int32";
    case Element::int64:
      return "int64";
    case Element::float32:
      return "float32";
    case Element::float64:
      return "float64";
    case Element::text:
      return "text";
  }
  internal_error("result schema: element type without a name");
}

const std::vector<DatasetSpec>& result_schema() {
  static const std::vector<DatasetSpec> table = [] {
    auto rows = result_table();
    // Before provenance, so that the reference ends with it.
    const auto end = std::find_if(rows.begin(), rows.end(),
                                  [](const auto& row) { return row.path.starts_with("/provenance/"); });
    rows.insert(end, certificate_table().begin(), certificate_table().end());
    check_table(rows);
    return rows;
  }();
  return table;
}

const DatasetSpec& find_dataset(std::string_view path) {
  const std::string wanted = generic(path);
  for (const auto& row : result_schema()) {
    if (row.path == wanted) return row;
  }
  internal_error("result schema has no dataset " + std::string(path));
}

template <class T>
void write_item(const hdf5::Group& file, const std::string& path, std::span<const T> values,
                const hdf5::Dims& dims) {
  const auto& spec = find_dataset(path);
  ensure(spec.type == element_of<T>() && spec.dims.size() == dims.size(), "type and rank of " + path);
  file.write<T>(path, values, dims);
  describe(file, path, spec);
}

template void write_item(const hdf5::Group&, const std::string&, std::span<const std::uint8_t>,
                         const hdf5::Dims&);
template void write_item(const hdf5::Group&, const std::string&, std::span<const std::int32_t>,
                         const hdf5::Dims&);
template void write_item(const hdf5::Group&, const std::string&, std::span<const std::int64_t>,
                         const hdf5::Dims&);
template void write_item(const hdf5::Group&, const std::string&, std::span<const float>, const hdf5::Dims&);
template void write_item(const hdf5::Group&, const std::string&, std::span<const double>, const hdf5::Dims&);

template <class T>
void create_item(const hdf5::Group& file, const std::string& path, const hdf5::Dims& dims) {
  const auto& spec = find_dataset(path);
  ensure(spec.type == element_of<T>() && spec.dims.size() == dims.size(), "type and rank of " + path);
  file.create<T>(path, dims, T{}, hdf5::Layout::compressed);
  describe(file, path, spec);
}

template void create_item<std::int32_t>(const hdf5::Group&, const std::string&, const hdf5::Dims&);
template void create_item<std::int64_t>(const hdf5::Group&, const std::string&, const hdf5::Dims&);
template void create_item<double>(const hdf5::Group&, const std::string&, const hdf5::Dims&);

void write_item(const hdf5::Group& file, const std::string& path, const std::vector<std::string>& values) {
  const auto& spec = find_dataset(path);
  ensure(spec.type == Element::text && (!spec.dims.empty() || values.size() == 1),
         "type and rank of " + path);
  file.write_strings(path, values);
  describe(file, path, spec);
}

void attach_scales(const hdf5::Group& file) {
  for (const auto& spec : result_schema()) {
    if (spec.path.find("NAME") == std::string::npos) {
      if (file.has(spec.path)) attach(file, spec.path, "");
      continue;
    }
    if (!file.has("/bounds")) continue;
    for (const auto& bound : file.group("/bounds").children()) {
      std::string path = spec.path;
      path.replace(path.find("NAME"), 4, bound);
      if (file.has(path)) attach(file, path, bound);
    }
  }
}

}  // namespace temblor
