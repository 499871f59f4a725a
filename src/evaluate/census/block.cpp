#include "block.hpp"

#include <algorithm>

#include <temblor/evaluate/evaluator.hpp>

namespace temblor::census {

ImageBlock image_block(const Network& network, const Dataset& data, Index first, Index count) {
  ImageBlock block;
  block.first = first;
  block.data.shape = data.shape;
  block.data.classes = data.classes;
  block.data.images = data.images.middleRows(first, count);
  block.data.labels.assign(data.labels.begin() + first, data.labels.begin() + first + count);
  forward(network, network.view(), block.data.images, block.golden);
  block.finite = block.data.images.allFinite();
  for (const Matrix& outputs : block.golden.outputs) block.finite = block.finite && outputs.allFinite();
  const Matrix& logits = block.golden.outputs.back();
  for (Index n = 0; n < count; ++n) {
    const float* row = logits.data() + n * logits.cols();
    block.prediction.push_back(predict(row, logits.cols()));
    block.margin.push_back(margin(row, logits.cols(), block.data.labels[static_cast<std::size_t>(n)]));
  }
  return block;
}

Index block_size(const Network& network) {
  Index values = network.input().size();
  for (const Network::Node& node : network.nodes()) values += node.shape.size();
  constexpr Index most = Index{1} << 26U;  // floats
  return std::max<Index>(8, most / values / 8 * 8);
}

}  // namespace temblor::census
