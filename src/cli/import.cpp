#include <filesystem>
#include <ostream>

#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/keras.hpp>
#include <temblor/network/onnx.hpp>
#include <temblor/network/safetensors.hpp>

namespace temblor::cli {
namespace {

std::optional<InputScaling> scaling_of(const Arguments& arguments) {
  if (!arguments.given("scale") && !arguments.given("mean") && !arguments.given("std")) return std::nullopt;
  InputScaling scaling;
  if (const auto text = arguments.text("scale")) scaling.scale = parse_real(*text, "--scale");
  if (const auto text = arguments.text("mean")) scaling.mean = parse_reals(*text, "--mean");
  if (const auto text = arguments.text("std")) scaling.std = parse_reals(*text, "--std");
  for (const double value : scaling.std) {
    if (!(value > 0))
      usage_error("--std " + to_text(value), "values are divided by it", "give positive numbers");
  }
  return scaling;
}

std::optional<Shape> shape_of(const Arguments& arguments) {
  const auto text = arguments.text("input-shape");
  if (!text) return std::nullopt;
  Shape shape;
  for (const auto& word : split(*text, 'x')) {
    shape.dims.push_back(static_cast<Index>(parse_integer(word, "--input-shape", 1, 1 << 20)));
  }
  if (shape.dims.size() > 3)
    usage_error("--input-shape " + *text, "more than three sizes", "leave the batch out");
  return shape;
}

void check_scaling(const Network& network) {
  const auto& shape = network.input();
  const Index channels = shape.dims.size() == 3 ? shape.dims[0] : shape.size();
  for (const auto& [name, values] :
       {std::pair("mean", network.scaling().mean), std::pair("std", network.scaling().std)}) {
    const auto count = static_cast<Index>(values.size());
    if (count == 1 || count == channels) continue;
    usage_error("--" + std::string(name), std::to_string(count) + " numbers for an image of " + shape.text(),
                "give one, or one a channel");
  }
}

struct Imported {
  Network network;
  std::vector<std::string> notes;
};

/// A model file of any kind, by its contents.
Imported read_model(const std::string& model, const Arguments& arguments) {
  const auto into = arguments.text("into");
  const std::string command = "temblor import WEIGHTS.safetensors --into NETWORK";
  if (into || is_safetensors(model)) {
    if (!into) usage_error("'" + model + "'", "it has weights, but no network", "say into which: " + command);
    for (const auto* option : {"scale", "mean", "std", "input-shape", "keep-batch-norm"}) {
      if (arguments.given(option))
        usage_error("--" + std::string(option), "the network of --into has its own", "leave it out");
    }
    if (!is_safetensors(model))
      usage_error("--into " + *into, "'" + model + "' is no safetensors file", command);
    std::vector<std::pair<std::string, std::string>> renamed;
    for (const auto& one : arguments.all("rename")) {
      const auto at = one.find('=');
      if (at == std::string::npos || at == 0 || at + 1 == one.size())
        usage_error("--rename " + one, "not a pair", "write NAME=LAYER, as in fc1=dense0");
      renamed.emplace_back(one.substr(0, at), one.substr(at + 1));
    }
    auto [network, notes] = import_safetensors(model, load_network(*into), renamed);
    return {std::move(network), std::move(notes)};
  }
  if (arguments.given("rename")) usage_error("--rename", "it is for weights of --into", "leave it out");
  switch (hdf5_kind(model)) {
    case Hdf5Kind::none: {
      auto [network, notes] =
          import_onnx(model, {scaling_of(arguments), shape_of(arguments), arguments.flag("keep-batch-norm")});
      return {std::move(network), std::move(notes)};
    }
    case Hdf5Kind::keras: {
      auto [network, notes] = import_keras(
          model, {scaling_of(arguments), shape_of(arguments), arguments.flag("keep-batch-norm")});
      return {std::move(network), std::move(notes)};
    }
    case Hdf5Kind::own:
      input_error("'" + model + "'", "it is a file of this program already",
                  "use it as it is: temblor inspect " + model);
    case Hdf5Kind::keras_weights:
      input_error("'" + model + "'", "it has the weights of a Keras model, but not the model",
                  "save the whole model: model.save('model.h5')");
    default:
      input_error("'" + model + "'", "it is HDF5, but no Keras model",
                  "give a file of model.save('model.h5')");
  }
}

int run_import(const Arguments& arguments, const Streams& streams) {
  const std::string model = *arguments.positional("MODEL");
  const std::string output =
      arguments.text("output").value_or(std::filesystem::path(model).stem().string() + ".h5");
  std::error_code error;
  if (std::filesystem::equivalent(model, output, error))
    usage_error("cannot write '" + output + "'", "it is the model itself", "choose another name by --output");
  const auto [network, notes] = read_model(model, arguments);
  check_scaling(network);
  Provenance provenance{{"command_line", arguments.command_line}, {"model", model}};
  if (const auto into = arguments.text("into")) provenance.emplace_back("into", *into);
  save_network(network, output, provenance);
  if (arguments.flag("json")) {
    streams.out << nlohmann::ordered_json{{"model", model},
                                          {"network", output},
                                          {"summary", network.summary()},
                                          {"id", network.id()},
                                          {"input_shape", network.input().dims},
                                          {"scale", network.scaling().scale},
                                          {"mean", network.scaling().mean},
                                          {"std", network.scaling().std},
                                          {"notes", notes}}
                       .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                << '\n';
    return 0;
  }
  for (const auto& note : notes) streams.err << "note: " << note << '\n';
  streams.out << output << ": " << network.summary() << "; input " << network.input().text() << ", "
              << network.scaling().text() << '\n';
  return 0;
}

}  // namespace

Subcommand import_command() {
  return {
      .name = "import",
      .help = "make a network file of an ONNX or Keras model, or put safetensors weights into a network",
      .details =
          "Reads a feed-forward classifier and writes a network file. Weights are taken bit for bit; what is "
          "folded into others (BatchNormalization, alpha and beta of Gemm) or left out (a Softmax at the "
          "end: "
          "margins are of logits) is said. What is not supported is named, with its node or layer. The kind "
          "of "
          "file is told by its contents.\n\n"
          "ONNX: opsets 7 to 17, the operators that the README lists; 8-bit weights stay codes. Such models "
          "do not say how raw image values become inputs: x = (raw * scale "
          "- "
          "mean) / std, by default raw / 255. Every command that writes a network writes an ONNX model when "
          "the "
          "output's name ends in .onnx; there scale, mean and std are noted and read again here.\n\n"
          "Keras: HDF5 files of model.save('model.h5'), Keras 2 or 3, sequential and functional. Images "
          "become "
          "[channels, rows, columns], with kernels and dense columns in that order. Rescaling and "
          "Normalization layers at the input become scale, mean and std; without them raw / 255.\n\n"
          "safetensors: weights for the network of --into, whose layers are found by name: tensors "
          "LAYER.weight "
          "and LAYER.bias, F64, F32, F16 or BF16, of the shapes that torch gives them. None may be missing "
          "or "
          "left over; --rename helps where names differ.",
      .examples = {"temblor import mlp.onnx -o net.h5",
                   "temblor import resnet20.onnx --mean .485,.456,.406 --std .229,.224,.225 -o r20.h5",
                   "temblor import keras-model.h5 -o net.h5",
                   "temblor import weights.safetensors --into net.h5 --rename fc1=dense0 -o new.h5"},
      .positionals = {{.name = "MODEL", .help = "ONNX model, Keras model in HDF5, or safetensors file"}},
      .options =
          {{.name = "output",
            .value = "FILE",
            .help = "network file to write; default: the model's name with .h5",
            .letter = 'o'},
           {.name = "scale",
            .value = "S",
            .help = "factor of raw values; default: the model's own note, else 1/255"},
           {.name = "mean", .value = "LIST", .help = "subtracted, one number or one a channel; default 0"},
           {.name = "std", .value = "LIST", .help = "divided by, one number or one a channel; default 1"},
           {.name = "input-shape",
            .value = "SHAPE",
            .help = "shape of one image, as 1x28x28, where the model leaves it open"},
           {.name = "keep-batch-norm",
            .value = "",
            .help = "batch normalisations stay layers (scale) instead of being folded into the layer before"},
           {.name = "into",
            .value = "NETWORK",
            .help = "network file whose weights a safetensors file replaces"},
           {.name = "rename",
            .value = "NAME=LAYER",
            .help = "tensors NAME.weight and NAME.bias are those of LAYER",
            .repeat = true},
           {.name = "json", .value = "", .help = "print JSON instead of text"}},
      .run = run_import};
}

}  // namespace temblor::cli
