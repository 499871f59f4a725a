#pragma once

#include "model.hpp"

#include <optional>
#include <set>

#include <temblor/network/onnx.hpp>

namespace temblor::onnx_io {

/// The grid of a quantised activation: real = (code - zero) * scale.
struct Grid {
  float scale;
  std::int64_t zero;
  bool negative;  ///< int8, otherwise uint8

  bool operator==(const Grid&) const = default;
};

/// A value that depends on the image: what a layer gives, in the sizes that the graph sees it in. A layer
/// that only reshapes is added where a later one must see the shape.
struct Value {
  int node = -1;               ///< of the network; -1: the image
  Dims dims{};                 ///< without the batch
  std::optional<Grid> grid{};  ///< where the graph has codes; the network has the real numbers
};

/// Parameters that a layer takes over, and the codes that they are stored as, or null.
struct Parameters {
  Weights weights;
  std::shared_ptr<const Coded> coded{};
};

/// Grows a network node by node of an ONNX graph; what the handlers of operators.hpp work with.
class Builder {
 public:
  Builder(const Model& model, const OnnxOptions& options);

  /// Converts all nodes.
  OnnxNetwork run();

  const Model& model() const { return model_; }
  const OnnxOptions& options() const { return options_; }
  [[noreturn]] void refuse(const Node& node, const std::string& why, const std::string& cure) const {
    onnx_io::refuse(node, model_.path(), why, cure);
  }
  /// A sentence about what was folded or left out.
  void note(const Node& node, const std::string& what) { notes_.push_back(title(node) + " " + what); }
  /// A sentence that is said once for all nodes it holds for.
  void note_once(const std::string& sentence);

  /// A constant at an input, or null; refused where there is none.
  const Tensor* find_constant(const Node& node, int input) const;
  const Tensor& constant(const Node& node, int input) const;
  /// The real constant at an input, repeated to the sizes of an image; refused where it does not fit them.
  Tensor repeated(const Node& node, int input, const Dims& dims) const;
  /// Codes as real numbers, as DequantizeLinear has it.
  Tensor decode(const Node& node, const Tensor& codes, const Tensor& scale, const Tensor& zero,
                std::int64_t axis) const {
    return decoded({node, model_.path(), constants_, {}}, codes, scale, &zero, axis);
  }
  /// Whole numbers at an input or, in older opsets, in an attribute; empty where there are none.
  Dims wholes(const Node& node, int input, const std::string& attribute_name) const;
  /// Adds a constant that follows from shapes.
  void make_constant(const Node& node, Tensor tensor) {
    constants_.make(node, model_.path(), std::move(tensor));
  }

  /// Whether an input depends on the image; its value, refused where it does not.
  bool moves(const Node& node, int input) const;
  const Value& value(const Node& node, int input) const;
  /// The same for operators that work on codes as well.
  const Value& value_or_codes(const Node& node, int input) const;
  /// The node of a value whose layer has the very sizes that the graph sees.
  int shaped(const Node& node, const Value& value);
  /// The same with the three sizes of a picture, or refused.
  int picture(const Node& node, const Value& value);

  /// Adds a layer and gives its value; what the layer refuses is refused naming the node.
  Value add(const Node& node, const std::string& kind, const LayerOptions& options, std::vector<int> inputs,
            Parameters parameters = {});
  /// Takes memory of layers that keep a table of so many entries; refused where a graph asks for too much.
  void charge(const Node& node, const Dims& entries);
  /// The output of a node.
  void give(const Node& node, Value value) { give(node.output(0), std::move(value)); }
  void give(const std::string& output, Value value) { values_[output] = std::move(value); }
  /// A later node is part of a layer already: it is not converted.
  void skip(int node) { skipped_.insert(node); }

 private:
  void convert(const Node& node);
  Network begin();
  Shape turned_shape(Shape shape);
  std::string free_name(const std::string& wanted);
  void store_codes(const Node& node, int layer, const Coded& coded);

  const Model& model_;
  const OnnxOptions& options_;
  Constants constants_;
  std::map<std::string, Value> values_;
  std::set<int> skipped_;
  std::vector<std::string> notes_;
  std::map<std::string, int> names_;           ///< of layers, and how often each was wanted again
  std::int64_t room_ = std::int64_t{1} << 26;  ///< entries that layers' tables may still have
  Network network_;
};

}  // namespace temblor::onnx_io
