#pragma once

#include <string>
#include <utility>
#include <vector>

#include <temblor/network/network.hpp>

namespace temblor {

/// Native network file (HDF5, filetype "temblor-network", schema 1.2):
///   attributes of /   input_shape (int[1..3]), scale (real), mean, std (real[1 or channels]); title (text,
///   optional) /layers/<i>       one group a node, i = 0, 1, ... in topological order; attributes kind
///   (text), name (text,
///                     optional), inputs (int[], optional: earlier nodes, -1 the image; default the previous
///                     node)
///   /layers/<i>/weight  float [outputs x inputs], for weighted kinds; /layers/<i>/bias float [outputs],
///   optional
/// In place of weight, stored codes: attribute format (text), codes (unsigned [outputs x inputs], one bit
/// pattern an element), scale (float, 1 or outputs) and zero_point (int, 1 or outputs) where the format has
/// them. The weights are then what the codes decode to (schema 1.1).
/// Kinds with options (layer_table) have them as attributes of the layer's group, under their names; a
/// convolution's weight is [out channels x (channels / groups * kernel rows * kernel columns)] (schema 1.2).
/// Readers ignore unknown attributes and objects. Missing scale, mean, std mean 1/255, 0, 1.
/// How a network came to be, as (name, text) pairs.
using Provenance = std::vector<std::pair<std::string, std::string>>;

/// `provenance` becomes text attributes of the group /provenance, which is left out when there is none. A
/// path that ends in .onnx gets an ONNX model (export_onnx).
void save_network(const Network& network, const std::string& path, const Provenance& provenance = {});
/// Bad-input error naming file and object for anything missing, misshapen, misspelt, NaN or infinite, and
/// for ONNX models, which import_onnx reads.
Network load_network(const std::string& path);

}  // namespace temblor
