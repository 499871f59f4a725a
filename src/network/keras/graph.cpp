#include "graph.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <queue>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor::keras {
namespace {

constexpr std::size_t most_layers = 20000;
constexpr int deepest = 16;  // models in models, and lists in lists of inputs
const std::string damaged = "save the model again";

/// One use of a layer as configurations name it: which layer, which use.
using Use = std::pair<std::string, std::int64_t>;

class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  Graph run(const Json& model) {
    read_model(model, "", "", std::nullopt, 0);
    if (graph_.calls.size() < 2) refuse("its configuration has no layers");
    return std::move(graph_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why, const std::string& cure = damaged) const {
    input_error("the model_config of '" + path_ + "'", why, cure);
  }

  static bool is_model(const std::string& kind) {
    return kind == "Sequential" || kind == "Functional" || kind == "Model";
  }

  static std::string class_of(const Json& entry) {
    const Json* kind = find(entry, "class_name");
    return kind != nullptr && kind->is_string() ? kind->get<std::string>() : "";
  }

  /// Name of a layer: beside its configuration, or in it.
  std::string name_of(const Json& entry) const {
    const Json* name = find(entry, "name");
    const Json* config = find(entry, "config");
    if (name == nullptr && config != nullptr) name = find(*config, "name");
    if (name == nullptr || !name->is_string() || name->get<std::string>().empty()) {
      refuse("a layer of class '" + class_of(entry) + "' has no name");
    }
    return name->get<std::string>();
  }

  /// Lays a model out; `input` is the call that it takes, none for the outermost one. Returns its output.
  int read_model(const Json& model, const std::string& prefix, const std::string& group,
                 std::optional<int> input, int depth) {
    if (depth > deepest) refuse("models nest too deeply", "save a flat model");
    const Json* config = find(model, "config");
    const std::string kind = class_of(model);
    if (config == nullptr || !is_model(kind)) {
      refuse(kind.empty() ? "it has no class_name and config" : "it is a '" + kind + "'",
             "save a Sequential or a functional model");
    }
    const Json* layers =
        config->is_array() ? config : find(*config, "layers");  // a plain list until Keras 2.2
    if (layers == nullptr || !layers->is_array() || layers->empty()) refuse("it has no list of layers");
    if (kind == "Sequential") return read_sequence(*config, *layers, prefix, group, input, depth);
    return read_links(*config, *layers, prefix, group, input, depth);
  }

  LayerSpec& add_layer(const Json& entry, const std::string& prefix, const std::string& group) {
    if (graph_.layers.size() >= most_layers) {
      refuse("it has more than " + std::to_string(most_layers) + " layers", "save a smaller model");
    }
    static const Json nothing = Json::object();
    const Json* config = find(entry, "config");
    const std::string own = name_of(entry);
    const std::string kind = class_of(entry);
    const std::string name = prefix + own;
    if (!names_.insert(name).second) refuse("two layers are named '" + name + "'", "give each its own name");
    if (config != nullptr && !config->is_object())
      refuse("the configuration of layer '" + name + "' is none");
    graph_.layers.push_back({name, own, group.empty() ? own : group, kind,
                             Settings(config != nullptr ? *config : nothing,
                                      "layer '" + name + "' (" + kind + ") in '" + path_ + "'")});
    return graph_.layers.back();
  }

  int add_call(LayerSpec& layer, std::vector<int> inputs) {
    if (graph_.calls.size() >= most_layers) {
      refuse("it uses layers more than " + std::to_string(most_layers) + " times", "save a smaller model");
    }
    ++layer.calls;
    graph_.calls.push_back({&layer, std::move(inputs)});
    return static_cast<int>(graph_.calls.size()) - 1;
  }

  /// Sizes without the batch, from [null, 28, 28, 1].
  std::vector<std::int64_t> sizes_of(const Json& shape, const std::string& title) const {
    const auto wrong = [&] {
      input_error(title, "its input has no shape of one to three sizes and a batch",
                  "save a classifier of images");
    };
    // Keras 3 may write a list of one shape.
    const Json& sizes = shape.is_array() && shape.size() == 1 && shape[0].is_array() ? shape[0] : shape;
    if (!sizes.is_array() || sizes.size() < 2 || sizes.size() > 4) wrong();
    std::vector<std::int64_t> result;
    for (std::size_t i = 1; i < sizes.size(); ++i) {
      if (!sizes[i].is_null() && (!sizes[i].is_number_unsigned() || sizes[i].get<std::uint64_t>() < 1 ||
                                  sizes[i].get<std::uint64_t>() > (std::uint64_t{1} << 28U))) {
        wrong();
      }
      result.push_back(sizes[i].is_null() ? 0 : sizes[i].get<std::int64_t>());
    }
    return result;
  }

  static const Json* shape_in(const Json* config) {
    if (config == nullptr) return nullptr;
    const Json* shape = find(*config, "batch_input_shape");
    return shape != nullptr ? shape : find(*config, "batch_shape");
  }

  void set_input(const Json* shape, const std::string& title) {
    if (shape == nullptr) {
      input_error(title, "the shape of its input is not given", "build the model on images before saving it");
    }
    graph_.input = sizes_of(*shape, title);
  }

  int read_sequence(const Json& config, const Json& layers, const std::string& prefix,
                    const std::string& group, std::optional<int> input, int depth) {
    if (!input && class_of(layers[0]) != "InputLayer") {
      // Before Keras 2.3 the first layer said the shape itself.
      const Json* shape = shape_in(find(layers[0], "config"));
      if (shape == nullptr) shape = find(config, "build_input_shape");
      set_input(shape, "the first layer in '" + path_ + "'");
      static const Json entry = {{"class_name", "InputLayer"}, {"config", {{"name", "(input)"}}}};
      input = add_call(add_layer(entry, prefix, group), {});
    }
    for (const Json& entry : layers) {
      if (class_of(entry) == "InputLayer") {
        if (input) continue;
        LayerSpec& layer = add_layer(entry, prefix, group);
        set_input(shape_in(find(entry, "config")), layer.settings.title());
        input = add_call(layer, {});
      } else if (is_model(class_of(entry))) {
        input = use_model(entry, prefix, group, {*input}, depth);
      } else {
        input = add_call(add_layer(entry, prefix, group), {*input});
      }
    }
    return *input;
  }

  int use_model(const Json& entry, const std::string& prefix, const std::string& group,
                std::vector<int> inputs, int depth) {
    const std::string name = name_of(entry);
    if (inputs.size() != 1) refuse("the model '" + name + "' inside it does not take one input");
    return read_model(entry, prefix + name + "/", group.empty() ? name : group, inputs[0], depth + 1);
  }

  /// Every [layer, use, tensor, ...] in the many forms of inbound_nodes, in order.
  void gather(const Json& value, std::vector<Use>& uses, int depth = 0) const {
    if (depth > deepest) refuse("the inputs of a layer nest too deeply");
    if (value.is_array() && value.size() >= 3 && value[0].is_string() && value[1].is_number_unsigned() &&
        value[2].is_number_unsigned()) {
      if (value[2] != 0) refuse("a layer takes the second output of '" + value[0].get<std::string>() + "'");
      uses.emplace_back(value[0].get<std::string>(), value[1].get<std::int64_t>());
      // Tensors may come as settings of the use as well.
      if (value.size() > 3 && value[3].is_object()) gather(value[3], uses, depth + 1);
      return;
    }
    const Json* config = find(value, "config");
    const Json* history = config != nullptr ? find(*config, "keras_history") : nullptr;
    if (history != nullptr) {
      gather(*history, uses, depth + 1);
    } else if (value.is_structured()) {
      if (const Json* training = find(value, "training"); training != nullptr && *training == true) {
        refuse("a layer is used in training mode", "save the model as it is used for inference");
      }
      for (const Json& one : value) gather(one, uses, depth + 1);
    }
  }

  /// The one entry of input_layers or output_layers.
  Use one_of(const Json& config, const std::string& key, const std::string& what) const {
    std::vector<Use> uses;
    if (const Json* value = find(config, key)) gather(*value, uses);
    if (uses.size() != 1) {
      refuse("a model has " + std::to_string(uses.size()) + " " + what,
             "save a model with one input and one output");
    }
    return uses[0];
  }

  struct Pending {
    const Json* entry;
    std::vector<Use> inputs;
  };

  int read_links(const Json& config, const Json& layers, const std::string& prefix, const std::string& group,
                 std::optional<int> input, int depth) {
    std::set<std::string> known;
    std::map<Use, std::size_t> index;
    std::vector<Pending> pending;  // in the order of the file
    const Use first = one_of(config, "input_layers", "inputs");
    const Use last = one_of(config, "output_layers", "outputs");
    for (const Json& entry : layers) {
      const std::string name = name_of(entry);
      const Json* nodes = find(entry, "inbound_nodes");
      if (!known.insert(name).second) refuse("two layers are named '" + name + "'", "give each its own name");
      if (name == first.first && !input) {
        LayerSpec& layer = add_layer(entry, prefix, group);
        set_input(shape_in(find(entry, "config")), layer.settings.title());
        input = add_call(layer, {});
      }
      if (name == first.first) continue;
      const std::size_t uses = nodes != nullptr && nodes->is_array() ? nodes->size() : 0;
      for (std::size_t i = 0; i < uses; ++i) {
        if (pending.size() >= most_layers) refuse("its layers are used too often", "save a smaller model");
        index[{name, static_cast<std::int64_t>(i)}] = pending.size();
        pending.push_back({&entry, {}});
        gather((*nodes)[i], pending.back().inputs);
      }
    }
    if (!input) refuse("there is no layer '" + first.first + "', its input");
    return order(pending, index, first, last, *input, prefix, group, depth);
  }

  int order(const std::vector<Pending>& pending, const std::map<Use, std::size_t>& index, const Use& first,
            const Use& last, int input, const std::string& prefix, const std::string& group, int depth) {
    // Only what the output needs, each when its inputs are there, in the order of the file.
    std::vector<std::size_t> missing(pending.size(), 0);
    std::vector<bool> needed(pending.size(), false);
    std::vector<std::vector<std::size_t>> readers(pending.size());
    std::vector<Use> open{last};
    std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
    while (!open.empty()) {
      const Use use = open.back();
      open.pop_back();
      if (use == first) continue;
      const auto found = index.find(use);
      if (found == index.end()) refuse("nothing gives '" + use.first + "', which is needed");
      const std::size_t at = found->second;
      if (needed[at]) continue;
      needed[at] = true;
      if (pending[at].inputs.empty()) refuse("layer '" + use.first + "' has no inputs");
      for (const Use& one : pending[at].inputs) {
        open.push_back(one);
        if (one == first) continue;
        const auto maker = index.find(one);
        if (maker == index.end())
          refuse("nothing gives '" + one.first + "', which '" + use.first + "' takes");
        readers[maker->second].push_back(at);
        ++missing[at];
      }
      if (missing[at] == 0) ready.push(at);
    }
    std::map<Use, int> done{{first, input}};
    std::vector<int> call(pending.size(), -1);
    std::map<const Json*, LayerSpec*> specs;
    std::size_t count = 0;
    while (!ready.empty()) {
      const std::size_t at = ready.top();
      ready.pop();
      ++count;
      std::vector<int> inputs;
      for (const Use& one : pending[at].inputs) {
        inputs.push_back(one == first ? input : call[index.at(one)]);
      }
      const Json* entry = pending[at].entry;
      if (is_model(class_of(*entry))) {
        if (!specs.emplace(entry, nullptr).second) {
          refuse("the model '" + name_of(*entry) + "' inside it is used twice",
                 "weights cannot be shared: save a model without that");
        }
        call[at] = use_model(*entry, prefix, group, std::move(inputs), depth);
      } else {
        LayerSpec*& spec = specs[entry];
        if (spec == nullptr) spec = &add_layer(*entry, prefix, group);
        call[at] = add_call(*spec, std::move(inputs));
      }
      for (const std::size_t reader : readers[at]) {
        if (--missing[reader] == 0) ready.push(reader);
      }
    }
    if (count != static_cast<std::size_t>(std::count(needed.begin(), needed.end(), true))) {
      refuse("its layers form a cycle");
    }
    return last == first ? input : call[index.at(last)];
  }

  std::string path_;
  Graph graph_;
  std::set<std::string> names_;
};

}  // namespace

Graph read_graph(const Json& model, const std::string& path) {
  return Reader(path).run(model);
}

}  // namespace temblor::keras
