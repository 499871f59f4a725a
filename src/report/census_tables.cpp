#include <temblor/base/text.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/report/census_tables.hpp>

namespace temblor {
namespace {

std::string field_name(const Format& format, int bit) {
  for (const auto& field : format.fields) {
    if (bit >= field.low && bit < field.low + field.bits) return field.name;
  }
  return "";
}

void fault_rows(const CensusFile& file, RowWriter& writer) {
  const auto& format = find_format(file.identity.format);
  for (const auto& layer : file.census.layers) {
    std::size_t fault = 0;
    for (Index output = 0; output < layer.outputs; ++output) {
      for (Index input = 0; input < layer.inputs; ++input) {
        for (const int bit : file.census.bits) {
          const std::int64_t correct = file.identity.correct - layer.broken[fault] + layer.fixed[fault];
          writer.add({std::int64_t{layer.layer}, std::int64_t{output}, std::int64_t{input}, std::int64_t{bit},
                      field_name(format, bit), correct, std::int64_t{layer.changed[fault]},
                      std::int64_t{layer.broken[fault]}, std::int64_t{layer.fixed[fault]},
                      std::int64_t{layer.no_prediction[fault]}, layer.worst_drop[fault],
                      std::int64_t{layer.worst_image[fault]}});
          ++fault;
        }
      }
    }
  }
}

void bit_rows(const CensusFile& file, RowWriter& writer) {
  const auto& format = find_format(file.identity.format);
  for (const auto& fold : fold_census(file.census, file.identity.correct)) {
    const double outcomes = static_cast<double>(fold.faults) * static_cast<double>(file.identity.images);
    const auto share = [](std::int64_t count, double of) { return static_cast<double>(count) / of; };
    const auto faults = static_cast<double>(fold.faults);
    writer.add({std::int64_t{fold.layer}, std::int64_t{fold.bit}, field_name(format, fold.bit), fold.faults,
                file.identity.images, share(fold.changing, faults), share(fold.detectable, faults),
                share(fold.changed, outcomes), share(fold.no_prediction, outcomes),
                share(fold.broken, outcomes), share(fold.fixed, outcomes), fold.least_correct,
                fold.worst_drop});
  }
}

}  // namespace

const std::vector<CensusTable>& census_tables() {
  static const std::vector<CensusTable> table{
      {"faults",
       "a fault, that is a bit of a weight (of a census)",
       {{"layer"},
        {"output"},
        {"input"},
        {"bit"},
        {"field"},
        {"correct"},
        {"changed"},
        {"broken"},
        {"fixed"},
        {"no_prediction"},
        {"worst_drop"},
        {"worst_image"}},
       fault_rows},
      {"bits",
       "a bit of a layer, with the exact rates over all its faults: any_change and any_no_prediction of the "
       "faults, the others of faults x images (of a census)",
       {{"layer"},
        {"bit"},
        {"field"},
        {"faults"},
        {"samples"},
        {"any_change"},
        {"any_no_prediction"},
        {"sdc"},
        {"no_prediction"},
        {"broken"},
        {"fixed"},
        {"correct_min"},
        {"drop_max"}},
       bit_rows},
  };
  return table;
}

const CensusTable& find_census_table(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& table : census_tables()) {
    if (table.name == name) return table;
    names.push_back(table.name);
  }
  unknown_name("table of a census", name, names);
}

}  // namespace temblor
