#pragma once

#include "config.hpp"

#include <deque>
#include <string>
#include <vector>

namespace temblor::keras {

/// A layer of the model, or of a model inside it.
struct LayerSpec {
  std::string name;   ///< unique: "outer/inner" for a layer of a model inside the model
  std::string own;    ///< its name in its own model
  std::string group;  ///< of its weights in the file: the layer of the outermost model that it belongs to
  std::string kind;   ///< class name
  Settings settings;
  int calls = 0;  ///< how often the graph uses it
};

/// One use of a layer.
struct Call {
  const LayerSpec* layer;
  std::vector<int> inputs;  ///< earlier calls
};

/// A model as a graph of calls in topological order; models inside it are laid flat. The first call is the
/// input, the last gives the output.
struct Graph {
  std::deque<LayerSpec> layers;  ///< in place: calls point to them
  std::vector<Call> calls;
  /// Sizes of one input, without the batch; 0 where the model leaves one open.
  std::vector<std::int64_t> input;
};

/// Reads the model's configuration, of Keras 1 to 3: sequential and functional models. `path` is for errors.
/// `model` must outlive the result. Bad-input error for graphs that are cyclic or dangling, have several
/// inputs or outputs, or are not configurations at all.
Graph read_graph(const Json& model, const std::string& path);

}  // namespace temblor::keras
