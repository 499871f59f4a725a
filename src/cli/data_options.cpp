#include <temblor/base/text.hpp>
#include <temblor/cli/data_options.hpp>

namespace temblor::cli {

std::vector<Option> data_options(const std::string& split) {
  return {
      {.name = "dataset",
       .value = "NAME",
       .help = "data set ('temblor list datasets'), KIND:PATH, or path of a data file",
       .letter = 'd',
       .required = true},
      {.name = "split", .value = "SPLIT", .help = "train or test", .initial = split},
      {.name = "select",
       .value = "WHICH",
       .help = "images: all, first:N, range:A:B (B left out), stratified:N, random:N[:SEED]",
       .initial = "all"},
      {.name = "data-dir",
       .value = "DIR",
       .help = "directory of a named data set, or its parent; otherwise TEMBLOR_DATA, then the usual places"},
  };
}

DataRequest data_request(const Arguments& arguments) {
  return {arguments.required("dataset"), parse_split(arguments.required("split")),
          arguments.text("data-dir").value_or(""), arguments.required("select")};
}

Split parse_split(const std::string& text) {
  if (text == "train") return Split::train;
  if (text == "test") return Split::test;
  unknown_name("split", text, {"train", "test"});
}

std::string split_name(Split split) {
  return split == Split::train ? "train" : "test";
}

bool same_images(const Dataset& train, const Dataset& test) {
  if (train.images.cols() != test.images.cols()) return false;
  for (Index row = 0; row < train.size(); ++row) {
    const auto other = static_cast<Index>(train.index[static_cast<std::size_t>(row)]);
    if (other >= test.size() || train.images.row(row) != test.images.row(other)) return false;
  }
  return true;
}

}  // namespace temblor::cli
