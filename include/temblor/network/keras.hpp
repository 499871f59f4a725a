#pragma once

#include <optional>
#include <string>
#include <vector>

#include <temblor/network/network.hpp>

namespace temblor {

/// What a Keras file does not say, or says otherwise than wanted.
struct KerasOptions {
  std::optional<InputScaling> scaling{};  ///< default: what Rescaling and Normalization layers at the
                                          ///< input do, else 1/255, 0, 1
  std::optional<Shape> input{};           ///< shape of one image, where the file leaves sizes open
  bool keep_batch_norm = false;           ///< BatchNormalization is a scale layer everywhere
};

struct KerasNetwork {
  Network network;
  std::vector<std::string> notes;  ///< what was folded or left out, one sentence each
};

/// Whether the file is HDF5, at whatever offset it begins, and what it says it is.
enum class Hdf5Kind { none, own, keras, keras_weights, other };
Hdf5Kind hdf5_kind(const std::string& path);

/// Reads a classifier from a model file that Keras 2 or 3 wrote in HDF5 (.h5): sequential and functional
/// models, models inside them laid flat. Images become [channels, rows, columns] and kernels [out channels x
/// (in channels * rows * columns)]; dense layers behind a Flatten have their columns in that order. 'same'
/// padding is that of TensorFlow: the odd cell is below and to the right. BatchNormalization is folded into
/// the dense or convolutional layer before it unless told otherwise, and is a scale layer elsewhere; a
/// softmax at the end is left out. Bad-input error naming file and layer for layers that are not supported,
/// and for parameters that are missing, misshapen or not finite.
KerasNetwork import_keras(const std::string& path, const KerasOptions& options = {});

}  // namespace temblor
