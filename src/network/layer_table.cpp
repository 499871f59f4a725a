#include "layer_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/network/layer.hpp>

namespace temblor {

void Layer::apply(float*, Index) const {
  internal_error("layer '" + std::string(kind()) + "' is not element-wise");
}

bool Layer::reach(const MatrixD&, const Weights&, const Radius&, MatrixD&) const {
  return false;
}

double Layer::float_error() const {
  return std::numeric_limits<double>::infinity();
}

std::shared_ptr<const Layer> Layer::placed(std::span<const Shape>) const {
  return nullptr;
}

void Layer::pull(const MatrixD&, const Weights*, std::span<MatrixD* const>, VectorD*) const {
  internal_error("layer '" + std::string(kind()) + "' is not affine");
}

namespace {

const LayerOption stride{"stride", "steps down and across", true, {1, 1}, 2};
const LayerOption dilation{"dilation", "distance of the window's cells, down and across", true, {1, 1}, 2};
const LayerOption padding{"padding", "zeros around: top, left, bottom, right", true, {0, 0, 0, 0}, 4};
const LayerOption kernel{"kernel", "rows and columns of the window", true, {}, 2};

}  // namespace

const std::vector<LayerEntry>& layer_table() {
  static const std::vector<LayerEntry> table = [] {
    std::vector<LayerEntry> entries = {
        {"dense", "p = W z + b, W [outputs x inputs]; bias optional", true, {}, make_dense},
        {"conv2d",
         "p_c = sum over the window of W_c z + b_c at every position, W [out channels x (channels / groups * "
         "kernel rows * kernel columns)]; bias optional",
         true,
         {kernel,
          stride,
          padding,
          dilation,
          {"groups", "channels of one group see inputs of one group only", true, {1}, 1}},
         make_conv2d},
        {"scale",
         "p_c = w_c z_c + b_c, one weight a channel (batch normalisation at inference), W [channels x 1]; "
         "bias "
         "optional",
         true,
         {},
         make_scale},
        {"relu", "z = max(p, 0), element-wise; NaN stays NaN", false, {}, make_relu},
        {"leaky-relu",
         "z = p where p > 0, slope p elsewhere, element-wise",
         false,
         {{"slope", "0 to 1", false, {0.01}, 1}},
         make_leaky_relu},
        {"clip",
         "z = min(max(p, low), high), element-wise (ReLU6: 0, 6); NaN stays NaN",
         false,
         {{"low", "lower limit", false, {0}, 1}, {"high", "upper limit", false, {6}, 1}},
         make_clip},
        {"sigmoid",
         "z = 1 / (1 + exp(-p)), element-wise; 1/4-Lipschitz, range (0, 1)",
         false,
         {},
         make_sigmoid},
        {"tanh", "z = tanh(p), element-wise; 1-Lipschitz, range (-1, 1)", false, {}, make_tanh},
        {"hard-swish", "z = p min(max(p / 6 + 1/2, 0), 1), element-wise", false, {}, make_hard_swish},
        {"max-pool",
         "largest value of the window, channel by channel; padding never wins",
         false,
         {kernel, stride, padding, dilation},
         make_max_pool},
        {"average-pool",
         "mean over the window, channel by channel",
         false,
         {kernel,
          stride,
          padding,
          {"count-padding", "1: zeros of the padding count in the mean, 0: they do not", true, {0}, 1}},
         make_average_pool},
        {"global-average-pool",
         "mean over all rows and columns of each channel",
         false,
         {},
         make_global_average_pool},
        {"add",
         "sum of two or more inputs of one shape, each with its sign",
         false,
         {{"signs", "1 or -1 an input, in order; 1 for those that are not named", true, {1}, 0}},
         make_add},
        {"concat",
         "inputs one behind the other along a dimension",
         false,
         {{"axis", "dimension, 0 the first (channels)", true, {0}, 1}},
         make_concat},
        {"pad",
         "constant values around",
         false,
         {{"before", "values to add in front, one a dimension", true, {}, 0},
          {"after", "values to add behind, one a dimension", true, {}, 0},
          {"value", "what is added", false, {0}, 1}},
         make_pad},
        {"slice",
         "every step-th value of a range, dimension by dimension",
         false,
         {{"start", "first index, one a dimension", true, {}, 0},
          {"count", "values to take, one a dimension", true, {}, 0},
          {"step", "distance, one a dimension; may be negative", true, {}, 0}},
         make_slice},
        {"transpose",
         "dimensions in another order",
         false,
         {{"order", "which dimension of the input comes first, second, ...", true, {}, 0}},
         make_transpose},
        {"reshape",
         "another shape, the values in the same order",
         false,
         {{"shape", "sizes of one to three dimensions", true, {}, 0}},
         make_reshape},
        {"flatten", "any shape becomes one long dimension, NCHW order", false, {}, make_flatten},
    };
    for (const auto& entry : entries) {
      ensure(!entry.name.empty() && !entry.help.empty() && entry.make,
             "layer table entry is complete: " + entry.name);
    }
    return entries;
  }();
  return table;
}

const LayerEntry& find_layer(std::string_view kind) {
  std::vector<std::string> names;
  for (const auto& entry : layer_table()) {
    if (entry.name == kind) return entry;
    names.push_back(entry.name);
  }
  const std::string near = nearest(kind, names);
  input_error("unknown layer kind '" + std::string(kind) + "'", "",
              near.empty() ? "known are " + join(names, ", ") : "did you mean '" + near + "'?");
}

namespace {

void check_option(const LayerEntry& entry, const LayerOption& option, const std::vector<double>& values) {
  const std::string what = "option '" + option.name + "' of a " + entry.name + " layer";
  if (option.count != 0 ? values.size() != option.count : values.empty()) {
    input_error(what + " has " + std::to_string(values.size()) + " values",
                option.count != 0 ? std::to_string(option.count) + " are needed" : "at least one is needed",
                "give " + option.help);
  }
  for (const double value : values) {
    if (!std::isfinite(value) || (option.whole && (value != std::trunc(value) || std::abs(value) > 0x1p31))) {
      input_error(what + ": a value is " + to_text(value),
                  option.whole ? "not a whole number below 2^31" : "not a finite number",
                  "give " + option.help);
    }
  }
}

}  // namespace

std::unique_ptr<Layer> make_layer(std::string_view kind, const LayerOptions& options) {
  const LayerEntry& entry = find_layer(kind);
  LayerOptions complete = options;
  std::vector<std::string> names;
  for (const LayerOption& option : entry.options) {
    names.push_back(option.name);
    if (!complete.contains(option.name)) {
      if (option.initial.empty()) {
        input_error("a " + entry.name + " layer has no '" + option.name + "'", "", "give " + option.help);
      }
      complete[option.name] = option.initial;
    }
    check_option(entry, option, complete.at(option.name));
  }
  for (const auto& [name, values] : options) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string near = nearest(name, names);
    input_error("a " + entry.name + " layer has no option '" + name + "'", "",
                near.empty() ? "leave it out" : "did you mean '" + near + "'?");
  }
  return entry.make(complete);
}

}  // namespace temblor
