#pragma once

#include <memory>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>

namespace temblor::census {

/// The dense layers with ReLU between them at the end of a network, as a network of their own whose images
/// are the outputs of the node before.
struct DenseEnd {
  int source;             ///< node that they read
  int first_layer;        ///< their first weighted layer; theirs are all from there on
  Network network;        ///< flat input
  std::vector<int> node;  ///< of each of its nodes: the node of the whole network
};

/// Null where the network does not end so.
std::unique_ptr<const DenseEnd> dense_end(const Network& network);

/// `outputs` of the source [images x units] as images of the dense end.
Dataset end_data(const Matrix& outputs, const std::vector<std::int32_t>& labels, Index classes);

}  // namespace temblor::census
