#pragma once

#include "block.hpp"
#include "channel.hpp"

#include <functional>
#include <vector>

#include <temblor/evaluate/census.hpp>
#include <temblor/network/runner.hpp>

namespace temblor::census {

/// What all weights of one convolution share.
struct ConvTables {
  ConvTables(const Network& network, int layer, const Encoded& stored, std::vector<int> chosen,
             const std::vector<PackedDense>& dense);

  const Network* network;
  int layer;
  const Encoded* codes;
  std::vector<int> bits;
  const std::vector<PackedDense>* packed;
  ChannelPath path;
  ChannelConv conv;
  std::vector<bool> above;  ///< nodes that depend on the path's end, without it
};

/// The census of single weights of a convolution over a block of images: one channel's plane is inferred
/// again for every fault, carried on as long as it stays a plane, and where it still differs from the golden
/// one the network above is inferred with it. One worker's.
class ConvCensus {
 public:
  explicit ConvCensus(const ConvTables& tables);

  /// Adds to the faults of one weight.
  void run(const ImageBlock& block, Index weight, LayerCensus& out, const std::function<bool()>& stop);
  std::int64_t inferred() const { return inferred_; }  ///< pairs of image and fault, so far

 private:
  static constexpr Index batch = BlockRunner::block;

  struct Pair {
    std::int32_t image;
    std::uint32_t fault;  ///< index in the layer's arrays
  };

  void decode(Index weight);
  void flush(Index channel);
  void outcome(const Pair& pair, const float* logits);

  const ConvTables* tables_;
  BlockRunner runner_;
  const ImageBlock* block_ = nullptr;
  LayerCensus* out_ = nullptr;
  std::vector<std::uint32_t> faults_;  ///< of the weight: indices in the layer's arrays
  Matrix kernels_;                     ///< [faults x depth]
  bool all_finite_ = true;
  PackedConv versions_;
  std::vector<float> values_;  ///< [faults x positions]: one image's
  std::vector<Pair> pairs_;
  Matrix planes_, other_;
  std::vector<std::int32_t> images_;  ///< of the pairs
  std::vector<Index> units_;
  std::int64_t inferred_ = 0;
};

}  // namespace temblor::census
