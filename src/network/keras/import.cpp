#include "convert.hpp"
#include "scaling.hpp"

#include <array>
#include <filesystem>
#include <fstream>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/network/keras.hpp>

namespace temblor {
namespace {

using namespace keras;

constexpr std::int64_t most_values = std::int64_t{1} << 28;  // of one image

Json read_config(const hdf5::File& file) {
  const std::string where = "'" + file.file_name() + "'";
  const auto text = file.text("model_config");
  if (!text) {
    input_error(where, "it has no attribute 'model_config'", "save the whole model: model.save('model.h5')");
  }
  Json model = Json::parse(*text, nullptr, false);
  if (model.is_discarded())
    input_error("the model_config of " + where, "it is no JSON", "save the model again");
  return model;
}

bool channels_last(const Graph& graph) {
  for (const LayerSpec& layer : graph.layers) {
    if (!layer.settings.has("data_format")) continue;
    const std::string format = layer.settings.text("data_format", "");
    if (format != "channels_last" && format != "channels_first") {
      layer.settings.refuse("its data_format is '" + format + "'", "use channels_last or channels_first");
    }
    return format == "channels_last";
  }
  return true;
}

std::string text_of(const Dims& dims) {
  std::vector<std::string> parts;
  for (const auto dim : dims) parts.push_back(dim == 0 ? "?" : std::to_string(dim));
  return join(parts, " x ");
}

/// The image as Keras and as we see it.
std::pair<Value, Shape> image_of(const Graph& graph, bool last, const KerasOptions& options,
                                 const std::string& path, std::vector<std::string>& notes) {
  const std::string what = "the input of '" + path + "'";
  Value value;
  value.dims = graph.input;
  const std::size_t rank = value.dims.size();
  Dims given;
  if (options.input) given.assign(options.input->dims.begin(), options.input->dims.end());
  if (rank == 1 && given.size() == 3) {
    // Whoever flattened images for Keras had them with channels last.
    const Image image{given[1], given[2], given[0]};
    given = {static_cast<std::int64_t>(options.input->size())};
    if (last) value.image = order_of(image);
    if (value.image != Image{}) {
      notes.push_back("the input's values are taken to be those of images of " +
                      text_of({image[0], image[1], image[2]}) + ", channels last");
    }
  }
  if (rank == 3 && given.size() == 3 && last) given = {given[1], given[2], given[0]};
  if (rank == 2 && given.size() == 3 && given[0] == 1) given.erase(given.begin());
  if (options.input && given.size() != rank) {
    input_error(what, "it has " + std::to_string(rank) + " sizes, --input-shape " + options.input->text(),
                "give as many");
  }
  std::int64_t values = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    std::int64_t& size = value.dims[i];
    if (options.input && size != 0 && size != given[i]) {
      input_error(what, "it is " + text_of(graph.input) + ", --input-shape " + options.input->text(),
                  "leave --input-shape out");
    }
    if (options.input) size = given[i];
    if (size == 0) {
      input_error(what, "it is " + text_of(graph.input) + ": a size is left open",
                  "give the shape of one image by --input-shape");
    }
    if (size < 1 || size > most_values / values) {
      input_error(what, "its size " + std::to_string(size) + " is impossible", "save the model again");
    }
    values *= size;
  }
  const Dims& d = value.dims;
  Shape shape;
  if (rank == 1) shape.dims = {d[0]};
  if (rank == 1 && options.input) shape = *options.input;
  if (rank == 2) shape.dims = {1, d[0], d[1]};
  if (rank == 3)
    shape.dims = last ? std::vector<Index>{d[2], d[0], d[1]} : std::vector<Index>{d[0], d[1], d[2]};
  if (rank == 3 && last) value.image = order_of({d[0], d[1], d[2]});
  return {std::move(value), std::move(shape)};
}

}  // namespace

Hdf5Kind hdf5_kind(const std::string& path) {
  constexpr std::array<char, 8> signature{'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
  std::ifstream in(path, std::ios::binary);
  std::error_code error;
  if (!in || !std::filesystem::is_regular_file(path, error)) return Hdf5Kind::none;
  const auto size = std::filesystem::file_size(path, error);
  bool found = false;
  // A block of the user's own may come first.
  for (std::uint64_t offset = 0; !found && !error && offset + signature.size() <= size;
       offset = offset == 0 ? 512 : 2 * offset) {
    std::array<char, 8> bytes{};
    in.seekg(static_cast<std::streamoff>(offset));
    in.read(bytes.data(), bytes.size());
    found = in && bytes == signature;
  }
  if (!found) return Hdf5Kind::none;
  const auto file = hdf5::File::open(path, hdf5::File::Mode::read);
  const auto names = file.attributes();
  const auto has = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (has("model_config")) return Hdf5Kind::keras;
  if (has("filetype")) return Hdf5Kind::own;
  return has("layer_names") || has("layer_names0") || file.has("layers") ? Hdf5Kind::keras_weights
                                                                         : Hdf5Kind::other;
}

KerasNetwork import_keras(const std::string& path, const KerasOptions& options) {
  const auto file = hdf5::File::open(path, hdf5::File::Mode::read);
  const Json model = read_config(file);
  const Graph graph = read_graph(model, path);
  const bool last = channels_last(graph);
  if (file.text("backend").value_or("") == "theano") {
    input_error("'" + path + "'", "its backend is theano, which turns kernels around",
                "load it in Keras with the TensorFlow backend and save it again");
  }
  std::vector<std::string> notes;
  auto [value, shape] = image_of(graph, last, options, path, notes);
  WeightFile weights(file);
  const InputLayers at_input(graph, weights, value, last, options.scaling.has_value(), notes);
  const InputScaling scaling =
      options.scaling ? *options.scaling : at_input.scaling().value_or(InputScaling());
  Network network(shape, scaling);
  Builder builder(network, last);
  Value output =
      Converter(graph, weights, builder, at_input.skipped(), options.keep_batch_norm, notes).run(value);
  const LayerSpec& end = *graph.calls.back().layer;
  if (output.dims.size() != 1 || output.dims[0] < 2 || network.layers() == 0) {
    end.settings.refuse(
        "the output is " + text_of(output.dims) + (network.layers() == 0 ? ", without weights" : ""),
        "a classifier has one number a class, two at least, and layers with weights");
  }
  if (output.image != Image{}) output = builder.flat(end, builder.plain(end, output));
  if (output.node + 1 != static_cast<int>(network.nodes().size())) {
    end.settings.refuse("its output is not what the model ends with", "save the model again");
  }
  return {std::move(network), std::move(notes)};
}

}  // namespace temblor
