#include <temblor/base/text.hpp>
#include <temblor/campaign/schema.hpp>

namespace temblor {
namespace {

std::string group_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string cells(const std::vector<std::string>& values) {
  return "| " + join(values, " | ") + " |\n";
}

std::string dims_text(const DatasetSpec& row) {
  return row.dims.empty() ? "one value" : "[" + join(row.dims, ", ") + "]";
}

}  // namespace

std::string result_reference() {
  std::string text =
      "# The result file\n\n"
      "Written by `temblor help --result-file`; do not edit. A test compares it with the program.\n\n"
      "One campaign, one HDF5 file, filetype `" +
      std::string(result_filetype) + "`, schema " + std::to_string(result_major) + "." +
      std::to_string(result_minor) +
      ". Plain datasets with attributes `unit` and `meaning`; dimension scales where a dimension has one. "
      "Everything\n"
      "outside `/provenance` and `/timing` depends on the spec, the inputs and the seed alone, not on "
      "threads or\n"
      "interruptions: `temblor inspect --digest` gives the same text for the same results.\n\n"
      "Tables are groups with one dataset a column:\n\n"
      "    import h5py, pandas\n"
      "    with h5py.File('out.h5') as file:\n"
      "        trials = pandas.DataFrame({name: column[:] for name, column in file['trials'].items()})\n\n"
      "While a campaign runs, its data are in `NAME.h5.partial` (filetype `" +
      std::string(partial_filetype) + "`), whose form is the\nprogram's own.\n\n## Attributes\n\n" +
      cells({"object", "attribute", "meaning"}) + cells({"---", "---", "---"});
  for (const auto& row : result_attributes())
    text += cells({"`" + row.object + "`", "`" + row.name + "`", row.meaning});
  text +=
      "\n## Dimensions\n\n" + cells({"dimension", "scale", "what it counts"}) + cells({"---", "---", "---"});
  for (const auto& row : result_dimensions()) {
    text += cells({row.name, row.scale.empty() ? "" : "`" + row.scale + "`", row.meaning});
  }
  std::string group;
  for (const auto& row : result_schema()) {
    if (group_of(row.path) != group) {
      group = group_of(row.path);
      text += "\n## " + group + "\n\n" + cells({"dataset", "dimensions", "type", "unit", "meaning"}) +
              cells({"---", "---", "---", "---", "---"});
    }
    text += cells({"`" + row.path.substr(group.size() + 1) + "`", dims_text(row), to_text(row.type), row.unit,
                   row.meaning});
  }
  return text;
}

}  // namespace temblor
