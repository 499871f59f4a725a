#include "codes_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>

#include <unistd.h>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/onnx.hpp>

namespace temblor {

void refuse(const hdf5::Group& file, const std::string& object, const std::string& why,
            const std::string& cure) {
  input_error("'" + object + "' in '" + file.file_name() + "'", why, cure);
}

namespace {

const std::string filetype = "temblor-network";
constexpr std::int32_t major_version = 1;
constexpr std::int32_t minor_version = 2;
constexpr std::int64_t most_values = std::int64_t{1} << 26;  // of one image: far beyond any picture
constexpr std::size_t most_layers = 20000;

Shape read_shape(const hdf5::File& file) {
  const std::string cure = "store the sizes of one image, as in [784] or [1, 28, 28]";
  const auto sizes = file.get<std::int64_t>("input_shape");
  if (!sizes) refuse(file, "/@input_shape", "it is missing", cure);
  if (sizes->empty() || sizes->size() > 3) refuse(file, "/@input_shape", "not one to three sizes", cure);
  Shape shape;
  std::int64_t values = 1;
  for (const std::int64_t size : *sizes) {
    if (size < 1 || size > most_values / values) {
      refuse(file, "/@input_shape", "size " + std::to_string(size) + " is impossible", cure);
    }
    values *= size;
    shape.dims.push_back(static_cast<Index>(size));
  }
  return shape;
}

/// Reals of an attribute, one or one a channel; `initial` when it is missing.
std::vector<double> read_reals(const hdf5::File& file, const std::string& name, const Shape& input,
                               double initial) {
  const auto values = file.get<double>(name);
  if (!values) return {initial};
  const std::string cure = "store one finite number, or one a channel";
  const auto count = static_cast<Index>(values->size());
  const bool fits = input.dims.size() == 3 ? count == input.dims[0] : count > 0 && input.size() % count == 0;
  if (count != 1 && !fits) {
    refuse(file, "/@" + name, "it has " + std::to_string(count) + " values, images are " + input.text(),
           cure);
  }
  for (const double value : *values) {
    if (!std::isfinite(value)) refuse(file, "/@" + name, "a value is " + to_text(value), cure);
  }
  return *values;
}

InputScaling read_scaling(const hdf5::File& file, const Shape& input) {
  InputScaling scaling;
  const auto scale = read_reals(file, "scale", {{1}}, scaling.scale);
  scaling.scale = scale.front();
  scaling.mean = read_reals(file, "mean", input, 0);
  scaling.std = read_reals(file, "std", input, 1);
  if (scaling.scale == 0)
    refuse(file, "/@scale", "it is 0: all images would be alike", "store 1/255 for bytes, 1 for none");
  for (const double std : scaling.std) {
    if (!(std > 0)) refuse(file, "/@std", "a value is " + to_text(std), "store numbers above 0");
  }
  return scaling;
}

/// Weights, or zeros of their shape where the layer has `codes`.
Weights read_weights(const hdf5::Group& group, const Encoded* codes) {
  const std::string cure = "store a float dataset [outputs x inputs]";
  const std::string path = group.path();
  if (codes == nullptr && !group.has("weight")) refuse(group, path + "/weight", "it is missing", cure);
  const auto dims = codes == nullptr ? group.dims("weight") : hdf5::Dims{codes->rows, codes->cols};
  if (dims.size() != 2 || dims[0] == 0 || dims[1] == 0) {
    refuse(group, path + "/weight",
           "it has " + std::to_string(dims.size()) + " dimensions, two above 0 are needed", cure);
  }
  const auto rows = static_cast<Index>(dims[0]);
  const auto columns = static_cast<Index>(dims[1]);
  Weights weights;
  if (codes == nullptr) {
    const auto values = group.read<float>("weight");
    weights.weight = Eigen::Map<const Matrix>(values.data(), rows, columns);
  } else {
    weights.weight = Matrix::Zero(rows, columns);
  }
  if (group.has("bias")) {
    if (group.dims("bias").size() != 1) {
      refuse(group, path + "/bias", "it has " + std::to_string(group.dims("bias").size()) + " dimensions",
             "store one value an output");
    }
    const auto bias = group.read<float>("bias");
    if (static_cast<Index>(bias.size()) != rows) {
      refuse(group, path + "/bias",
             "it has " + std::to_string(bias.size()) + " values, the layer has " + std::to_string(rows) +
                 " outputs",
             "store one value an output");
    }
    weights.bias = Eigen::Map<const Vector>(bias.data(), rows);
  }
  return weights;
}

/// Codes' metadata beside plain weights would be ignored silently.
void refuse_metadata(const hdf5::Group& group) {
  for (const auto* name : {"scale", "zero_point"}) {
    if (group.has(name)) {
      refuse(group, group.path() + "/" + name, "the layer has no codes", "store codes, or remove it");
    }
  }
  if (group.text("format")) {
    refuse(group, group.path() + "/@format", "the layer has no codes", "store codes, or remove it");
  }
}

std::vector<int> read_inputs(const hdf5::Group& group, int index) {
  const auto values = group.get<std::int32_t>("inputs");
  if (!values) return {};
  const std::string cure = "list earlier layers, or -1 for the image";
  if (values->empty()) refuse(group, group.path() + "/@inputs", "it is empty", cure);
  for (const auto input : *values) {
    if (input < -1 || input >= index) {
      refuse(group, group.path() + "/@inputs",
             "layer " + std::to_string(input) + " does not come before this one", cure);
    }
  }
  return {values->begin(), values->end()};
}

void read_layer(const hdf5::Group& group, int index, Network& network) {
  const std::string path = group.path();
  const auto kind = group.text("kind");
  if (!kind)
    refuse(group, path + "/@kind", "it is missing", "name the kind of layer, as in 'dense' or 'relu'");
  std::shared_ptr<const Layer> layer;
  try {
    LayerOptions options;
    for (const LayerOption& option : find_layer(*kind).options) {
      if (const auto values = group.get<double>(option.name)) options[option.name] = *values;
    }
    layer = make_layer(*kind, options);
  } catch (const Error& error) {
    throw Error(error.code(), "'" + path + "' in '" + group.file_name() + "': " + error.what(), "", "");
  }
  Weights weights;
  std::optional<Encoded> codes;
  if (layer->weighted()) {
    if (group.has("codes")) {
      if (group.has("weight")) {
        refuse(group, path + "/weight", "the layer has codes as well", "store one of weight and codes");
      }
      codes = read_codes(group);
    } else {
      refuse_metadata(group);
    }
    weights = read_weights(group, codes ? &*codes : nullptr);
  } else {
    for (const auto* name : {"weight", "codes", "bias"}) {
      if (group.has(name))
        refuse(group, path + "/" + name, "a " + *kind + " layer has no parameters",
               "remove it or correct the kind");
    }
  }
  auto inputs = read_inputs(group, index);
  const std::string name = group.text("name").value_or("");
  try {
    network.add(std::move(layer), std::move(weights), std::move(inputs), name);
    if (codes) network.set_codes(network.layers() - 1, std::move(*codes));
  } catch (const Error& error) {
    throw Error(error.code(), "'" + path + "' in '" + group.file_name() + "': " + error.what(), "", "");
  }
}

void write_options(const hdf5::Group& group, const Layer& layer) {
  const auto& known = find_layer(layer.kind()).options;
  for (const auto& [name, values] : layer.options()) {
    const auto option = std::find_if(known.begin(), known.end(),
                                     [&key = name](const LayerOption& o) { return o.name == key; });
    if (option->whole) {
      const std::vector<std::int64_t> whole(values.begin(), values.end());
      group.set<std::int64_t>(name, whole);
    } else {
      group.set<double>(name, values);
    }
  }
}

void write_layer(const hdf5::Group& layers, const Network& network, int index) {
  const Network::Node& node = network.nodes()[static_cast<std::size_t>(index)];
  const hdf5::Group group = layers.create_group(std::to_string(index));
  group.set_text("kind", std::string(node.layer->kind()));
  group.set_text("name", node.name);
  const std::vector<std::int32_t> inputs(node.inputs.begin(), node.inputs.end());
  group.set<std::int32_t>("inputs", inputs);
  write_options(group, *node.layer);
  if (node.weights < 0) return;
  const Weights& weights = network.weights(node.weights);
  const auto size = [](auto n) { return static_cast<std::size_t>(n); };
  if (const Encoded* codes = network.codes(node.weights)) {
    write_codes(group, *codes);
  } else {
    group.write<float>("weight", {weights.weight.data(), size(weights.weight.size())},
                       {size(weights.weight.rows()), size(weights.weight.cols())});
  }
  if (weights.bias.size() != 0) {
    group.write<float>("bias", {weights.bias.data(), size(weights.bias.size())}, {size(weights.bias.size())});
  }
}

void write_all(const Network& network, const std::string& path, const Provenance& provenance) {
  const hdf5::File file = hdf5::File::create(path);
  hdf5::stamp(file, filetype, major_version, minor_version);
  const std::vector<std::int64_t> shape(network.input().dims.begin(), network.input().dims.end());
  file.set<std::int64_t>("input_shape", shape);
  file.set<double>("scale", std::array{network.scaling().scale});
  file.set<double>("mean", network.scaling().mean);
  file.set<double>("std", network.scaling().std);
  const hdf5::Group layers = file.create_group("layers");
  for (int i = 0; i < static_cast<int>(network.nodes().size()); ++i) write_layer(layers, network, i);
  if (!provenance.empty()) {
    const hdf5::Group group = file.create_group("provenance");
    for (const auto& [name, text] : provenance) group.set_text(name, text);
  }
  file.sync();
  file.close();
}

bool is_onnx(const std::string& path) {
  return std::filesystem::path(path).extension() == ".onnx";
}

}  // namespace

void save_network(const Network& network, const std::string& path, const Provenance& provenance) {
  // The name appears only when the contents are on disk: a crash or a full disk leaves an older network as it
  // was.
  const std::string temporary = path + ".tmp" + std::to_string(::getpid());
  try {
    is_onnx(path) ? export_onnx(network, temporary, provenance) : write_all(network, temporary, provenance);
    if (std::rename(temporary.c_str(), path.c_str()) != 0) {
      input_error("cannot write '" + path + "'", std::strerror(errno), "check the path and the permissions");
    }
  } catch (...) {
    std::remove(temporary.c_str());
    throw;
  }
}

Network load_network(const std::string& path) {
  if (is_onnx(path)) {
    input_error("'" + path + "'", "it is an ONNX model", "make a network of it: temblor import " + path);
  }
  const hdf5::File file = hdf5::File::open(path, hdf5::File::Mode::read);
  hdf5::check_stamp(file, filetype, major_version);
  const Shape input = read_shape(file);
  Network network = [&] {
    try {
      return Network(input, read_scaling(file, input));
    } catch (const Error& error) {
      throw Error(error.code(), "'" + path + "': " + error.what(), "", "");
    }
  }();
  if (!file.has("layers"))
    refuse(file, "/layers", "it is missing", "store one group a layer: /layers/0, /layers/1, ...");
  const hdf5::Group layers = file.group("layers");
  const auto names = layers.children();
  const auto is_number = [](const std::string& name) {
    return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  };
  const auto count = static_cast<std::size_t>(std::count_if(names.begin(), names.end(), is_number));
  if (count == 0 || count > most_layers) {
    refuse(file, "/layers", "it has " + std::to_string(count) + " layers",
           "store one group a layer, /layers/0 first");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = std::to_string(i);
    if (!layers.has(name)) refuse(file, "/layers/" + name, "it is missing", "number the layers 0, 1, 2, ...");
    read_layer(layers.group(name), static_cast<int>(i), network);
  }
  if (network.layers() == 0)
    refuse(file, "/layers", "no layer has weights", "store at least one layer with weights");
  if (network.classes() < 2)
    refuse(file, "/layers", "the last layer has one output", "a classifier has at least two");
  return network;
}

}  // namespace temblor
