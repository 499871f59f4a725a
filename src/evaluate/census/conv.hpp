#pragma once

#include "block.hpp"
#include "channel.hpp"
#include "screen.hpp"

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

/// The census of single weights of a convolution over a block of images. Where a screen is given it decides
/// most pairs of fault and image. The others are inferred: the channel's plane again, carried on as long as
/// it stays a plane, and where it still differs from the golden one the network above with it. One worker's.
class ConvCensus {
 public:
  explicit ConvCensus(const ConvTables& tables);

  /// Adds to the faults of one weight. `screen` is of its channel and the block, or null.
  void run(const ImageBlock& block, const ChannelScreen* screen, Index weight, LayerCensus& out,
           const std::function<bool()>& stop);
  std::int64_t inferred() const { return inferred_; }  ///< pairs of image and fault, so far

 private:
  static constexpr Index batch = BlockRunner::block;
  static constexpr Index panel = 8;  ///< versions of a kernel that are run together

  struct Fault {
    std::uint32_t place;  ///< in the layer's arrays
    float after;
    double delta;
    bool large;  ///< infinite, NaN, or so large that only inference tells
  };
  struct Pair {
    std::int32_t image;
    std::uint32_t fault;  ///< place in the layer's arrays
    bool drop;            ///< inference gives the drop too
  };

  void decode(Index weight);
  void pack(Index channel, Index weight);
  /// Marks the faults that are to be inferred on an image, with or without their drop.
  bool choose(const ChannelScreen* screen, Index weight, const float* image, Index row);
  void infer(Index channel, const float* image, const float* golden, Index row);
  void flush(Index channel);
  void outcome(const Pair& pair, const float* logits);
  void drop(std::uint32_t place, std::int32_t image, double value);
  void worst_drops(const ChannelScreen& screen, Index weight, const Matrix& input);

  enum class Choice : std::uint8_t { skip, count, count_and_drop };

  const ConvTables* tables_;
  BlockRunner runner_;
  const ImageBlock* block_ = nullptr;
  LayerCensus* out_ = nullptr;
  std::vector<Fault> faults_;  ///< of the weight, the largest change first
  bool all_finite_ = true;
  std::vector<PackedConv> versions_;  ///< of `panel` faults each
  std::vector<Choice> choice_;        ///< [faults]
  ChannelScreen::Weight weight_;
  std::vector<float> most_drop_;  ///< [faults x images]: bound; below 0 where there is nothing to look for
  std::vector<std::pair<float, std::int32_t>> order_;
  std::vector<float> values_;  ///< [panel x positions]: one image's
  std::vector<Pair> pairs_;
  Matrix planes_, other_;
  std::vector<std::int32_t> images_;  ///< of the pairs
  std::vector<Index> units_;
  std::vector<float> kept_;
  std::int64_t inferred_ = 0;
};

}  // namespace temblor::census
