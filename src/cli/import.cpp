#include <filesystem>
#include <ostream>

#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/network/file.hpp>
#include <temblor/network/onnx.hpp>

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

int run_import(const Arguments& arguments, const Streams& streams) {
  const std::string model = *arguments.positional("MODEL");
  const std::string output =
      arguments.text("output").value_or(std::filesystem::path(model).stem().string() + ".h5");
  const auto imported =
      import_onnx(model, {scaling_of(arguments), shape_of(arguments), arguments.flag("keep-batch-norm")});
  const Network& network = imported.network;
  check_scaling(network);
  save_network(network, output, {{"command_line", arguments.command_line}, {"model", model}});
  if (arguments.flag("json")) {
    streams.out << nlohmann::ordered_json{{"model", model},
                                          {"network", output},
                                          {"summary", network.summary()},
                                          {"id", network.id()},
                                          {"input_shape", network.input().dims},
                                          {"scale", network.scaling().scale},
                                          {"mean", network.scaling().mean},
                                          {"std", network.scaling().std},
                                          {"notes", imported.notes}}
                       .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                << '\n';
    return 0;
  }
  for (const auto& note : imported.notes) streams.err << "note: " << note << '\n';
  streams.out << output << ": " << network.summary() << "; input " << network.input().text() << ", "
              << network.scaling().text() << '\n';
  return 0;
}

}  // namespace

Subcommand import_command() {
  return {
      .name = "import",
      .help = "make a network file of an ONNX model",
      .details =
          "Reads a feed-forward classifier of dense layers (opsets 7 to 17) and writes a network file. "
          "Weights are "
          "taken bit for bit; what is folded into others (BatchNormalization, alpha and beta of Gemm) or "
          "left "
          "out (a Softmax at the end: margins are of logits) is said. An operator that is not supported is "
          "named, with its node.\n\nONNX models do not say how raw image values become inputs: x = (raw * "
          "scale "
          "- mean) / std, by default raw / 255. Every command that writes a network writes an ONNX model "
          "when "
          "the output's name ends in .onnx; there scale, mean and std are noted and read again here.",
      .examples = {"temblor import mlp.onnx -o net.h5",
                   "temblor import mlp.onnx --mean 0.2860 --std 0.3530 -o net.h5"},
      .positionals = {{.name = "MODEL", .help = "ONNX model"}},
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
           {.name = "json", .value = "", .help = "print JSON instead of text"}},
      .run = run_import};
}

}  // namespace temblor::cli
