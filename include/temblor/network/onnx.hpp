#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <temblor/network/network.hpp>

namespace temblor {

/// What an ONNX file does not say, or says otherwise than wanted.
struct OnnxOptions {
  std::optional<InputScaling>
      scaling{};                 ///< default: the file's own (as export_onnx notes it), else 1/255, 0, 1
  std::optional<Shape> input{};  ///< shape of one image, where the file leaves sizes open
  bool keep_batch_norm = false;  ///< BatchNormalization stays a layer of kind scale, wherever it stands
};

struct OnnxNetwork {
  Network network;
  std::vector<std::string> notes;  ///< what was folded or left out, one sentence each
};

/// Reads a feed-forward classifier from an ONNX file (opsets 7 to 17); src/network/onnx/operators.cpp lists
/// the operators. The first size of the input is the batch. What scales channels is folded into the dense or
/// convolutional layer before it, constants are computed, a Softmax at the end is left out (margins are of
/// logits). 8-bit weights stay stored codes. Weights are taken bit for bit unless a note says that something
/// was folded into them, and always from a model that export_onnx wrote. Bad-input error naming file and node
/// for anything else, and for tensors that are missing, misshapen, not finite, or kept outside the file's
/// folder. Memory stays within a small multiple of the file's size and a fixed amount.
OnnxNetwork import_onnx(const std::string& path, const OnnxOptions& options = {});

/// Writes an ONNX file (opset 14) of layers of any kind, weights bit for bit, the first size of the input
/// left open. Stored codes of 8 bits stay codes behind a DequantizeLinear. Input scaling and `properties`
/// become metadata. Bad-input error for networks with other stored codes, which would lose them.
void export_onnx(const Network& network, const std::string& path,
                 const std::vector<std::pair<std::string, std::string>>& properties = {});

}  // namespace temblor
