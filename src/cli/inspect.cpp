#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <ostream>

#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/data_options.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/hdf5/digest.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/report/table.hpp>

namespace temblor::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t longest_text = 100;  ///< bytes of an attribute shown in text

/// One report in both forms.
struct Report {
  ordered_json json;
  std::vector<std::pair<std::string, std::string>> lines{};
  std::string title{};
  Table table{};
};

std::string joined(const std::vector<Index>& sizes) {
  std::vector<std::string> parts;
  for (const Index size : sizes) parts.push_back(std::to_string(size));
  return join(parts, " x ");
}

/// Multiplications of a weight with a value, for one image.
Index multiply_adds(const Network& network, const Network::Node& node) {
  if (node.weights < 0) return 0;
  const Matrix& weight = network.weights(node.weights).weight;
  return weight.size() * (node.shape.size() / weight.rows());
}

/// What of a layer's options is not as usual: "kernel 3 3, stride 2 2".
std::string options_text(const Layer& layer) {
  const auto& table = find_layer(layer.kind()).options;
  std::vector<std::string> parts;
  for (const auto& option : layer.options()) {
    const auto usual = std::find_if(table.begin(), table.end(),
                                    [&](const auto& entry) { return entry.name == option.first; });
    if (usual != table.end() && usual->initial == option.second) continue;
    std::string part = option.first;
    for (const double value : option.second) part += " " + to_text(value);
    parts.push_back(std::move(part));
  }
  return join(parts, ", ");
}

Report network_report(const std::string& path) {
  const Network network = load_network(path);
  Index work = 0;
  for (const auto& node : network.nodes()) work += multiply_adds(network, node);
  Report report;
  report.json = {{"file", path},
                 {"kind", "network"},
                 {"summary", network.summary()},
                 {"id", network.id()},
                 {"input_shape", network.input().dims},
                 {"classes", network.classes()},
                 {"scale", network.scaling().scale},
                 {"mean", network.scaling().mean},
                 {"std", network.scaling().std},
                 {"weights", network.weight_count()},
                 {"biases", network.bias_count()},
                 {"multiply_adds", work},
                 {"layers", ordered_json::array()}};
  report.lines = {{"kind", "network"},
                  {"summary", network.summary()},
                  {"id", network.id()},
                  {"input", network.input().text() + ", " + network.scaling().text()},
                  {"classes", std::to_string(network.classes())},
                  {"parameters", std::to_string(network.weight_count()) + " weights, " +
                                     std::to_string(network.bias_count()) + " biases"},
                  {"work", std::to_string(work) + " multiply-adds an image"}};
  report.title = "Layers";
  report.table.columns = {{"layer"},    {"name"},   {"kind"},   {"inputs"}, {"output"},  {"options"},
                          {"weighted"}, {"weight"}, {"format"}, {"bias"},   {"largest"}, {"multiply-adds"}};
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Network::Node& node = network.nodes()[i];
    std::vector<std::string> inputs;
    for (const int input : node.inputs) inputs.push_back(input < 0 ? "image" : std::to_string(input));
    const std::string kind(node.layer->kind());
    ordered_json layer = {{"layer", i},
                          {"name", node.name},
                          {"kind", kind},
                          {"inputs", node.inputs},
                          {"output", node.shape.dims},
                          {"options", node.layer->options()}};
    std::vector<Cell> row{static_cast<std::int64_t>(i), node.name,         kind,
                          join(inputs, ", "),           node.shape.text(), options_text(*node.layer)};
    if (node.weights >= 0) {
      const Weights& weights = network.weights(node.weights);
      const auto largest = static_cast<double>(weights.weight.cwiseAbs().maxCoeff());
      layer["weighted"] = node.weights;
      layer["weight"] = {weights.weight.rows(), weights.weight.cols()};
      const Encoded* codes = network.codes(node.weights);
      const std::string format = codes == nullptr ? "float" : codes->format->name;
      layer["format"] = format;
      if (codes != nullptr) {
        layer["scale"] = codes->scale;
        layer["zero_point"] = codes->zero_point;
      }
      layer["bias"] = weights.bias.size();
      layer["largest_weight"] = largest;
      layer["multiply_adds"] = multiply_adds(network, node);
      row.insert(row.end(),
                 {std::int64_t{node.weights}, joined({weights.weight.rows(), weights.weight.cols()}), format,
                  std::int64_t{weights.bias.size()}, largest, std::int64_t{multiply_adds(network, node)}});
    } else {
      row.resize(report.table.columns.size());
    }
    report.json["layers"].push_back(layer);
    report.table.add(std::move(row));
  }
  return report;
}

std::string shortened(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.size() <= longest_text ? text : text.substr(0, longest_text) + "...";
}

void add_datasets(const hdf5::Group& group, Report& report) {
  const std::string prefix = group.path() == "/" ? "/" : group.path() + "/";
  for (const auto& name : group.children()) {
    if (!group.has(name)) continue;  // a link that leads nowhere
    if (!group.is_dataset(name)) {
      add_datasets(group.group(name), report);
      continue;
    }
    const auto dims = group.dims(name);
    std::vector<Index> sizes;
    for (const auto size : dims) sizes.push_back(static_cast<Index>(size));
    const auto attributes = group.attributes(name);
    const bool has_unit = std::find(attributes.begin(), attributes.end(), "unit") != attributes.end();
    const std::string unit = has_unit ? group.attribute_text("unit", name) : "";
    report.json["datasets"].push_back(
        {{"path", prefix + name}, {"type", group.type(name)}, {"dims", dims}, {"unit", unit}});
    report.table.add({prefix + name, group.type(name), dims.empty() ? "scalar" : joined(sizes), unit});
  }
}

Report tree_report(const hdf5::File& file) {
  Report report;
  const std::string kind = file.text("filetype").value_or("HDF5");
  report.json = {{"file", file.file_name()}, {"kind", kind}, {"bytes", file.size()}};
  report.lines = {{"kind", kind}, {"bytes", std::to_string(file.size())}};
  for (const auto& name : file.attributes()) {
    const std::string value = file.attribute_text(name);
    report.json["attributes"][name] = value;
    if (name != "filetype") report.lines.emplace_back(name, shortened(value));
  }
  report.json["datasets"] = ordered_json::array();
  report.title = "Datasets";
  report.table.columns = {{"path"}, {"type"}, {"dims"}, {"unit"}};
  add_datasets(file, report);
  return report;
}

Report data_report(const DataRequest& request) {
  const RawImages raw = read_images(request);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(raw.classes), 0);
  for (const auto label : raw.labels) ++counts[static_cast<std::size_t>(label)];
  Report report;
  report.json = {{"file", request.set},
                 {"kind", raw.kind},
                 {"files", raw.files},
                 {"images", raw.labels.size()},
                 {"shape", raw.shape.dims},
                 {"classes", raw.classes},
                 {"least", raw.values.minCoeff()},
                 {"most", raw.values.maxCoeff()},
                 {"labels", counts}};
  report.lines = {{"kind", raw.kind},
                  {"files", join(raw.files, ", ")},
                  {"images", std::to_string(raw.labels.size()) + " of " + raw.shape.text()},
                  {"values", to_text(raw.values.minCoeff()) + " to " + to_text(raw.values.maxCoeff())},
                  {"classes", std::to_string(raw.classes)}};
  report.title = "Labels";
  report.table.columns = {{"class"}, {"images"}};
  for (std::size_t c = 0; c < counts.size(); ++c) report.table.add({static_cast<std::int64_t>(c), counts[c]});
  return report;
}

Report inspect(const std::string& path, const Arguments& arguments) {
  if (is_hdf5(path)) {
    const auto file = hdf5::File::open(path, hdf5::File::Mode::read);
    const auto filetype = file.text("filetype");
    if (filetype == "temblor-network") return network_report(path);
    if (filetype || !(file.has("images") || file.has("test/images"))) return tree_report(file);
  }
  return data_report(
      {path, parse_split(arguments.required("split")), arguments.text("data-dir").value_or("")});
}

int run_inspect(const Arguments& arguments, const Streams& streams) {
  const std::string path = *arguments.positional("FILE");
  if (arguments.flag("digest")) {
    const std::string digest = hdf5::content_digest(hdf5::File::open(path, hdf5::File::Mode::read));
    if (arguments.flag("json")) {
      streams.out << ordered_json{{"file", path}, {"digest", digest}}.dump(
                         2, ' ', false, ordered_json::error_handler_t::replace)
                  << '\n';
    } else {
      streams.out << digest << '\n';
    }
    return 0;
  }
  const Report report = inspect(path, arguments);
  if (arguments.flag("json")) {
    streams.out << report.json.dump(2, ' ', false, ordered_json::error_handler_t::replace) << '\n';
    return 0;
  }
  std::size_t width = 0;
  for (const auto& [name, value] : report.lines) width = std::max(width, text_width(name));
  for (const auto& [name, value] : report.lines) {
    streams.out << name << std::string(width + 2 - text_width(name), ' ') << value << '\n';
  }
  streams.out << '\n' << report.title << '\n';
  write_text(streams.out, report.table);
  return 0;
}

}  // namespace

Subcommand inspect_command() {
  return {
      .name = "inspect",
      .help = "what is in a network, result or data file",
      .details =
          "Networks: layers, parameters, input scaling, id. Result files and other HDF5 files: their "
          "attributes and datasets. Data: images, shape, classes, labels; a data set's name or "
          "KIND:PATH will do as well.\n"
          "The digest of --digest covers everything outside /provenance and /timing: two files with the "
          "same digest hold the same results, however they were computed and stored.",
      .examples = {"temblor inspect net.h5", "temblor inspect out.h5 --digest",
                   "temblor inspect fashion-mnist --json"},
      .positionals = {{"FILE", "network, result or data file, or name of a data set"}},
      .options =
          {{.name = "json", .value = "", .help = "print JSON instead of text"},
           {.name = "digest", .value = "", .help = "print the SHA-256 of the contents alone (HDF5 files)"},
           {.name = "split", .value = "SPLIT", .help = "train or test, for data", .initial = "test"},
           {.name = "data-dir", .value = "DIR", .help = "directory of a named data set, or its parent"}},
      .run = run_inspect};
}

}  // namespace temblor::cli
