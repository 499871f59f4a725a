#pragma once

#include <string>
#include <utility>
#include <vector>

#include <temblor/network/network.hpp>

namespace temblor {

struct SafetensorsNetwork {
  Network network;
  std::vector<std::string> notes;  ///< what was rounded, folded or left out, one sentence each
};

/// Whether the file begins as safetensors files do, or its name ends in .safetensors.
bool is_safetensors(const std::string& path);

/// The same graph with the weights of a safetensors file: tensors LAYER.weight and LAYER.bias, as torch names
/// them, of types F64, F32, F16 or BF16. [outputs, inputs] for dense layers, [out channels, in channels /
/// groups, rows, columns] for convolutions, [channels] for scale layers, into which LAYER.running_mean and
/// LAYER.running_var are folded (epsilon 1e-5) where there are any. A layer that came from torch through ONNX
/// ("/layer1/layer1.0/conv1/Conv") answers to its torch name too ("layer1.0.conv1"). `renamed` are pairs
/// (name in the file, layer) for names that differ. Bad-input error naming file and tensor or layer where one
/// is missing or left over, misshapen, not finite, of another type, or where the file is damaged: the header
/// must name every byte once.
SafetensorsNetwork import_safetensors(const std::string& path, const Network& network,
                                      const std::vector<std::pair<std::string, std::string>>& renamed = {});

}  // namespace temblor
