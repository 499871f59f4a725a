#include "convert.hpp"

#include <algorithm>

#include <temblor/base/text.hpp>

namespace temblor::keras {

const std::vector<std::pair<std::string, Converter::Member>>& Converter::table() {
  using C = Converter;
  static const std::vector<std::pair<std::string, Member>> members{
      {"Activation", &C::activation_layer},
      {"ActivityRegularization", &C::pass},
      {"Add", &C::add},
      {"AlphaDropout", &C::pass},
      {"AveragePooling2D", &C::average_pool},
      {"BatchNormalization", &C::normalisation},
      {"Concatenate", &C::concatenate},
      {"Conv2D", &C::convolution},
      {"Cropping2D", &C::crop},
      {"Dense", &C::dense},
      {"DepthwiseConv2D", &C::depthwise},
      {"Dropout", &C::pass},
      {"Flatten", &C::flatten},
      {"GaussianDropout", &C::pass},
      {"GaussianNoise", &C::pass},
      {"GlobalAveragePooling2D", &C::global_average},
      {"GlobalMaxPooling2D", &C::global_max},
      {"InputLayer", &C::pass},
      {"LeakyReLU", &C::leaky_relu},
      {"MaxPooling2D", &C::max_pool},
      {"Normalization", &C::rescale},
      {"Permute", &C::permute},
      {"RandomContrast", &C::pass},
      {"RandomFlip", &C::pass},
      {"RandomRotation", &C::pass},
      {"RandomTranslation", &C::pass},
      {"RandomZoom", &C::pass},
      {"ReLU", &C::relu},
      {"Rescaling", &C::rescale},
      {"Reshape", &C::reshape},
      {"SeparableConv2D", &C::separable},
      {"Softmax", &C::softmax},
      {"SpatialDropout2D", &C::pass},
      {"ZeroPadding2D", &C::pad},
  };
  return members;
}

const std::vector<std::string>& Converter::supported() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& entry : table()) all.push_back(entry.first);
    return all;
  }();
  return names;
}

Converter::Converter(const Graph& graph, WeightFile& weights, Builder& builder,
                     const std::vector<bool>& skipped, bool keep_norms, std::vector<std::string>& notes)
    : graph_(graph),
      weights_(weights),
      builder_(builder),
      notes_(notes),
      skipped_(skipped),
      keep_norms_(keep_norms),
      values_(graph.calls.size()),
      done_(graph.calls.size(), false),
      readers_(graph.calls.size()) {
  for (int call = 0; call < static_cast<int>(graph.calls.size()); ++call) {
    for (const int from : graph.calls[static_cast<std::size_t>(call)].inputs) {
      readers_[static_cast<std::size_t>(from)].push_back(call);
    }
  }
}

Value Converter::run(Value image) {
  values_[0] = std::move(image);
  const auto is = [](const auto& wanted) {
    return [&wanted](const auto& entry) { return entry.first == wanted; };
  };
  for (int call = 1; call < static_cast<int>(graph_.calls.size()); ++call) {
    if (done_[static_cast<std::size_t>(call)]) continue;
    const std::string& kind = layer(call).kind;
    const auto found = std::find_if(table().begin(), table().end(), is(kind));
    if (found == table().end()) {
      settings(call).refuse("layers of this class are not supported",
                            "supported are " + join(supported(), ", "));
    }
    const bool merges = kind == "Add" || kind == "Concatenate";
    const auto& inputs = graph_.calls[static_cast<std::size_t>(call)].inputs;
    if (!merges && inputs.size() != 1) {
      settings(call).refuse("it takes " + std::to_string(inputs.size()) + " inputs", "give it one");
    }
    const bool skip = skipped_[static_cast<std::size_t>(call)];
    values_[static_cast<std::size_t>(call)] = skip ? input(call) : (this->*found->second)(call);
  }
  return values_.back();
}

const Value& Converter::input(int call, std::size_t which) const {
  const int from = graph_.calls[static_cast<std::size_t>(call)].inputs[which];
  return values_[static_cast<std::size_t>(from)];
}

int Converter::reader(int call) const {
  const auto& readers = readers_[static_cast<std::size_t>(call)];
  return readers.size() == 1 ? readers[0] : -1;
}

void Converter::once(int call) const {
  if (layer(call).calls > 1) {
    settings(call).refuse("the model uses it " + std::to_string(layer(call).calls) + " times",
                          "weights cannot be shared: save a model without that");
  }
}

Value Converter::input_image(int call) {
  const std::string own = builder_.channels_last() ? "channels_last" : "channels_first";
  if (const std::string format = settings(call).text("data_format", own); format != own) {
    settings(call).refuse("its data_format is " + format + ", that of others " + own,
                          "save a model of one format");
  }
  return builder_.image(layer(call), input(call));
}

Value Converter::activate(int call, const std::string& name, Value value) {
  if (name == "linear") return value;
  if (name == "softmax" || name == "log_softmax") {
    if (!last(call)) settings(call).refuse("its softmax is not at the end", "only the output may be one");
    if (value.dims.size() != 1)
      settings(call).refuse("its softmax is not one over classes", "flatten before it");
    notes_.push_back("layer '" + layer(call).name + "': the " + name + " is left out: margins are of logits");
    return value;
  }
  std::string kind = name;
  LayerOptions options;
  if (name == "relu6") {
    kind = "clip";
    options = {{"low", {0}}, {"high", {6}}};
  } else if (name == "leaky_relu") {
    kind = "leaky-relu";
    options = {{"slope", {0.2}}};
  } else if (name == "hard_silu" || name == "hard_swish") {
    kind = "hard-swish";
  } else if (name != "relu" && name != "sigmoid" && name != "tanh") {
    settings(call).refuse("its activation '" + name + "' is not supported",
                          "supported are hard_silu, leaky_relu, linear, relu, relu6, sigmoid, tanh, and "
                          "softmax at the end");
  }
  const bool own = layer(call).kind == "Activation" && layer(call).calls == 1;
  value.node = builder_.add(layer(call), own ? "" : suffix(call, name), kind, options, {}, {value.node});
  return value;
}

std::string Converter::suffix(int call, const std::string& name) const {
  return layer(call).calls == 1 ? name : name + std::to_string(call);
}

Value Converter::element_wise(int call, const std::string& kind, const LayerOptions& options) {
  Value value = input(call);
  value.node = builder_.add(layer(call), suffix(call, ""), kind, options, {}, {value.node});
  return value;
}

Value Converter::rescale(int call) {
  settings(call).refuse("it is not the only layer at the input", "use a BatchNormalization inside the model");
}

Value Converter::activation_layer(int call) {
  return activate(call, settings(call).activation(), input(call));
}

Value Converter::softmax(int call) {
  const auto axis = settings(call).whole("axis", -1);
  if (axis != -1 && axis != 1)
    settings(call).refuse("its axis is " + std::to_string(axis), "use the last one");
  return activate(call, "softmax", input(call));
}

Value Converter::relu(int call) {
  const double slope = settings(call).real("negative_slope", 0);
  if (settings(call).real("threshold", 0) != 0) settings(call).refuse("its threshold is not 0", "use 0");
  if (settings(call).has("max_value")) {
    if (slope != 0) settings(call).refuse("it has both a max_value and a negative_slope", "use one of them");
    return element_wise(call, "clip", {{"low", {0}}, {"high", {settings(call).real("max_value", 6)}}});
  }
  return slope == 0 ? element_wise(call, "relu", {}) : element_wise(call, "leaky-relu", {{"slope", {slope}}});
}

Value Converter::leaky_relu(int call) {
  const double slope = settings(call).real("negative_slope", settings(call).real("alpha", 0.3));
  return element_wise(call, "leaky-relu", {{"slope", {slope}}});
}

Value Converter::flatten(int call) {
  Value value = input(call);
  const std::string format = settings(call).text("data_format", "channels_last");
  if (format != "channels_last" && (format != "channels_first" || builder_.channels_last())) {
    settings(call).refuse("its data_format is " + format, "save a model of one format");
  }
  if (format == "channels_first" && value.dims.size() == 3) {
    // Keras puts the channels last before it flattens.
    value = builder_.image(layer(call), std::move(value));
    value.image = order_of(builder_.sizes(value));
  }
  return builder_.flat(layer(call), std::move(value), layer(call).calls == 1);
}

Value Converter::reshape(int call) {
  Value value = input(call);
  const Json* target = settings(call).raw("target_shape");
  if (target == nullptr || !target->is_array() || target->empty() || target->size() > 3) {
    settings(call).refuse("its target_shape is not one to three sizes", "reshape to those of an image");
  }
  const std::int64_t count = builder_.shape(value.node).size();
  std::int64_t rest = count;
  int open = -1;
  Dims dims;
  for (const Json& size : *target) {
    const bool free = size == -1;
    const bool fits = size.is_number_unsigned() && size.get<std::uint64_t>() >= 1 &&
                      size.get<std::uint64_t>() <= static_cast<std::uint64_t>(rest) &&
                      rest % size.get<std::int64_t>() == 0;
    if (free ? open >= 0 : !fits) rest = 0;
    if (rest == 0) break;
    if (free)
      open = static_cast<int>(dims.size());
    else
      rest /= size.get<std::int64_t>();
    dims.push_back(free ? 1 : size.get<std::int64_t>());
  }
  if (rest == 0 || (open < 0 && rest != 1)) {
    settings(call).refuse(
        "its target_shape does not hold the " + std::to_string(count) + " values of its input",
        "save the model again");
  }
  if (open >= 0) dims[static_cast<std::size_t>(open)] = rest;
  value.dims = std::move(dims);
  return value.dims.size() == 1 ? builder_.flat(layer(call), std::move(value)) : value;
}

Value Converter::concatenate(int call) {
  const auto& calls = graph_.calls[static_cast<std::size_t>(call)].inputs;
  if (calls.size() < 2) settings(call).refuse("it has one input", "give it two or more");
  const auto rank = static_cast<std::int64_t>(input(call).dims.size());
  std::int64_t axis = settings(call).whole("axis", -1);
  if (axis < 0) axis += rank + 1;  // the batch counts
  if (axis < 1 || axis > rank || (rank != 1 && rank != 3)) {
    settings(call).refuse("its axis does not fit inputs of " + std::to_string(rank) + " sizes",
                          "join images or vectors");
  }
  // Ours: channels, rows, columns.
  const std::int64_t ours = rank == 1 ? 0 : builder_.channels_last() ? axis % 3 : axis - 1;
  std::vector<int> nodes;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    Value value = input(call, i);
    if (static_cast<std::int64_t>(value.dims.size()) != rank) {
      settings(call).refuse("its inputs have different numbers of sizes", "save the model again");
    }
    value = rank == 3 ? builder_.image(layer(call), std::move(value))
                      : builder_.flat(layer(call), builder_.plain(layer(call), std::move(value)));
    count += value.dims[0];
    nodes.push_back(value.node);
  }
  const int node = builder_.add(layer(call), suffix(call, ""), "concat",
                                {{"axis", {static_cast<double>(ours)}}}, {}, nodes);
  return rank == 3 ? builder_.of_image(node) : Value{node, {count}, {}};
}

Value Converter::add(int call) {
  const auto& calls = graph_.calls[static_cast<std::size_t>(call)].inputs;
  if (calls.size() < 2) settings(call).refuse("it has one input", "give it two or more");
  std::vector<int> nodes;
  Value first;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    Value value = input(call, i);
    if (value.dims != input(call).dims) {
      settings(call).refuse("its inputs have different sizes", "add values of one shape");
    }
    if (value.dims.size() == 3)
      value = builder_.image(layer(call), std::move(value));
    else
      value = builder_.flat(layer(call), builder_.plain(layer(call), std::move(value)));
    nodes.push_back(value.node);
    if (i == 0) first = std::move(value);
  }
  first.node = builder_.add(layer(call), suffix(call, ""), "add", {}, {}, nodes);
  return first;
}

Value Converter::permute(int call) {
  Value value = input(call);
  const Json* order = settings(call).raw("dims");
  const std::size_t rank = value.dims.size();
  std::vector<double> ours;
  Dims dims;
  std::vector<double> before(value.dims.begin(), value.dims.end());
  std::vector<bool> seen(rank, false);
  for (std::size_t i = 0; order != nullptr && order->is_array() && i < order->size(); ++i) {
    const Json& one = (*order)[i];
    const bool fits =
        one.is_number_unsigned() && one.get<std::uint64_t>() >= 1 && one.get<std::uint64_t>() <= rank;
    if (!fits || seen[one.get<std::size_t>() - 1]) break;
    seen[one.get<std::size_t>() - 1] = true;
    ours.push_back(static_cast<double>(one.get<std::size_t>() - 1));
    dims.push_back(value.dims[one.get<std::size_t>() - 1]);
  }
  if (ours.size() != rank || order->size() != rank) {
    settings(call).refuse("its dims are not an order of the " + std::to_string(rank) + " sizes of its input",
                          "save the model again");
  }
  value = builder_.plain(layer(call), std::move(value));
  const int shaped =
      builder_.add(layer(call), suffix(call, "reshape"), "reshape", {{"shape", before}}, {}, {value.node});
  return {builder_.add(layer(call), suffix(call, "transpose"), "transpose", {{"order", ours}}, {}, {shaped}),
          std::move(dims),
          {}};
}

}  // namespace temblor::keras
