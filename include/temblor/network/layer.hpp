#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <temblor/network/types.hpp>

namespace temblor {

/// Geometry and constants of a layer, by name (LayerEntry::options).
using LayerOptions = std::map<std::string, std::vector<double>>;

/// One kind of layer: a pure function of its inputs and parameters. It holds geometry only; parameters come
/// as arguments, so that perturbed copies need no second network. All batches are [images x units],
/// row-major, an image's units in the order channel, row, column.
///
/// A new layer is one file in src/network/layers and one line in src/network/layer_table.cpp.
class Layer {
 public:
  using Inputs = std::span<const Matrix* const>;

  virtual ~Layer() = default;
  virtual std::string_view kind() const = 0;  ///< as in layer_table()

  /// Every option of the kind, as the layer has it.
  virtual LayerOptions options() const { return {}; }
  /// The layer for inputs of these shapes, where it must know them: Network::add asks before anything but
  /// output_shape. Null: it does as it is. Bad-input error where the shapes do not fit.
  virtual std::shared_ptr<const Layer> placed(std::span<const Shape> inputs) const;

  /// Output shape for these input shapes and parameters; bad-input error `why` when they do not fit.
  virtual Shape output_shape(std::span<const Shape> inputs, const Weights* weights) const = 0;
  /// Whether the layer has parameters (then `weights` is never null).
  virtual bool weighted() const { return false; }
  /// Element-wise, monotone, 1-Lipschitz activation: `apply` is then available.
  virtual bool elementwise() const { return false; }
  /// The output is the one input, value for value, in another shape.
  virtual bool reshapes() const { return false; }
  /// Activation of n values in place, the same arithmetic as forward. Only for elementwise() layers.
  virtual void apply(float* values, Index n) const;

  /// out is resized. Full IEEE 754 semantics: a NaN or Inf in an input reaches the output as in a plain sum.
  virtual void forward(Inputs in, const Weights* weights, Matrix& out) const = 0;

  /// Adds the gradients of a scalar loss: `grad_out` is its gradient by the output. grad_in[i] is null where
  /// not wanted, otherwise sized like in[i] and added to; grad_weights likewise (sized like weights). At the
  /// kink of ReLU the derivative is 0.
  virtual void backward(Inputs in, const Matrix& out, const Weights* weights, const Matrix& grad_out,
                        std::span<Matrix* const> grad_in, Weights* grad_weights) const = 0;

  /// Encloses the outputs for all inputs in the given intervals and all parameters within `radius` of
  /// `weights` (null: exactly `weights`). Sound in double arithmetic: every product and sum is widened by its
  /// rounding error (theory, floating point).
  virtual void interval(std::span<const Interval* const> in, const Weights* weights, const Radius* radius,
                        Interval& out) const = 0;
  /// Upper limits [images x units] on how far the outputs move when the parameters do, within `radius`, and
  /// the inputs stay: abs(input) <= `magnitude` [images x inputs]. False where the layer has no such form.
  virtual bool reach(const MatrixD& magnitude, const Weights& weights, const Radius& radius,
                     MatrixD& out) const;
  /// Whether the outputs are an affine function of the inputs for given parameters; `pull` is then available.
  virtual bool affine() const { return false; }
  /// The linear part backward, in double: adds coefficients on the outputs, [rows x outputs], as
  /// coefficients on each input, on_inputs[i] [rows x inputs] (null: not wanted), and what a constant of the
  /// layer (its bias, a padding) contributes to `constant` [rows] (null: not wanted). Rounding is that of
  /// sums of products with the parameters in some order.
  virtual void pull(const MatrixD& coefficients, const Weights* weights, std::span<MatrixD* const> on_inputs,
                    VectorD* constant) const;
  /// What the float32 forward pass may be off by, absolutely and for each output, beyond the rounding of sums
  /// of products with the parameters (which bounds treat as a change of the parameters). Infinite: unknown.
  virtual double float_error() const;
  /// The part of that error that grows with the inputs of a layer without parameters, relative to what the
  /// layer makes of their magnitudes (of an affine layer: with the magnitudes of its coefficients), or to the
  /// input's magnitude (element-wise layers).
  virtual double float_relative() const { return 0.0; }
};

/// One option of a kind of layer; in network files an attribute of the layer's group.
struct LayerOption {
  std::string name;
  std::string help;             ///< one line: unit, meaning
  bool whole;                   ///< whole numbers
  std::vector<double> initial;  ///< when not given; empty: it must be given
  std::size_t count;            ///< of values; 0: any
};

/// A kind of layer that files can name.
struct LayerEntry {
  std::string name;
  std::string help;  ///< one line: formula
  bool weighted;
  std::vector<LayerOption> options;
  std::unique_ptr<Layer> (*make)(const LayerOptions& options);  ///< options complete and finite
};

/// All kinds of layers. Incomplete entries throw at first use.
const std::vector<LayerEntry>& layer_table();
/// A kind by its table name; bad-input error with the nearest name otherwise.
const LayerEntry& find_layer(std::string_view kind);
/// A layer by its table name. Options that are not given take their initial values; bad-input error for
/// unknown kinds and options and for values that are missing, too many, not finite or not whole.
std::unique_ptr<Layer> make_layer(std::string_view kind, const LayerOptions& options = {});

}  // namespace temblor
