#pragma once

#include <memory>
#include <string>
#include <vector>

#include <temblor/base/error.hpp>
#include <temblor/network/layer.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::testing {

/// A layer with everything that it needs to run.
struct LayerExample {
  std::string kind;
  LayerOptions options{};
  std::vector<Shape> inputs{};
  Index outputs = 0;  ///< rows of the weights
  Index depth = 0;    ///< columns

  /// Placed on the inputs.
  std::shared_ptr<const Layer> layer() const {
    std::shared_ptr<const Layer> made = make_layer(kind, options);
    if (auto placed = made->placed(inputs)) return placed;
    return made;
  }
  bool weighted() const { return outputs > 0; }
  Weights weights(Stream& stream) const {
    Weights drawn{Matrix(outputs, depth), Vector(outputs)};
    for (Index i = 0; i < drawn.weight.size(); ++i)
      drawn.weight.data()[i] = static_cast<float>(stream.normal());
    for (Index i = 0; i < drawn.bias.size(); ++i) drawn.bias[i] = static_cast<float>(stream.normal());
    return drawn;
  }
  std::string text() const { return kind + " on " + inputs.front().text(); }
};

/// At least one a kind of the layer table.
inline std::vector<LayerExample> layer_examples() {
  const Shape line{{7}};
  const Shape image{{2, 5, 4}};
  const Shape deep{{4, 5, 6}};
  std::vector<LayerExample> all = {
      {"dense", {}, {line}, 4, 7},
      {"dense", {}, {image}, 4, 40},
      {"conv2d", {{"kernel", {3, 2}}}, {image}, 3, 12},
      {"conv2d", {{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}}, {deep}, 17, 36},
      {"conv2d",
       {{"kernel", {2, 3}},
        {"stride", {2, 1}},
        {"padding", {1, 0, 2, 1}},
        {"dilation", {2, 1}},
        {"groups", {2}}},
       {deep},
       6,
       12},
      {"conv2d", {{"kernel", {3, 3}}, {"stride", {2, 2}}, {"groups", {4}}}, {deep}, 4, 9},
      {"scale", {}, {image}, 2, 1},
      {"scale", {}, {line}, 7, 1},
      {"max-pool", {{"kernel", {2, 2}}}, {image}},
      {"max-pool", {{"kernel", {3, 3}}, {"stride", {2, 2}}, {"padding", {1, 1, 1, 1}}}, {deep}},
      {"average-pool", {{"kernel", {2, 2}}, {"stride", {2, 2}}}, {image}},
      {"average-pool", {{"kernel", {3, 3}}, {"padding", {1, 0, 1, 2}}}, {deep}},
      {"average-pool", {{"kernel", {3, 3}}, {"padding", {1, 0, 1, 2}}, {"count-padding", {1}}}, {deep}},
      {"global-average-pool", {}, {deep}},
      {"add", {}, {image, image}},
      {"add", {{"signs", {1, -1}}}, {line, line, line}},
      {"concat", {}, {image, Shape{{3, 5, 4}}}},
      {"concat", {{"axis", {1}}}, {image, Shape{{2, 1, 4}}, image}},
      {"pad", {{"before", {1, 0, 2}}, {"after", {0, 1, 1}}, {"value", {0.5}}}, {image}},
      {"slice", {{"start", {1, 0, 3}}, {"count", {1, 3, 2}}, {"step", {1, 2, -2}}}, {image}},
      {"transpose", {{"order", {2, 0, 1}}}, {image}},
      {"reshape", {{"shape", {8, 5}}}, {image}},
  };
  for (const std::string kind : {"relu", "leaky-relu", "clip", "sigmoid", "tanh", "hard-swish", "flatten"}) {
    all.push_back({kind, {}, {line}});
    all.push_back({kind, {}, {image}});
  }
  for (const LayerEntry& entry : layer_table()) {
    bool found = false;
    for (const LayerExample& example : all) found = found || example.kind == entry.name;
    ensure(found, "give an example of a '" + entry.name + "' layer");
  }
  return all;
}

}  // namespace temblor::testing
