#pragma once

#include "channel.hpp"
#include "sensitivity.hpp"

#include <optional>
#include <vector>

namespace temblor::census {

/// What a path from a convolution to the dense end does to a channel: sums with other values, ReLU, then a
/// pool, each at most once and in this order.
struct PlaneShape {
  bool relu = false;
  bool average = false;         ///< the pool; otherwise maximum, or none
  Index sums = 0;               ///< values added
  int value = 0;                ///< node whose outputs the ReLU (or the pool) reads
  Index units = 0;              ///< output values
  Index padded = 0;             ///< to whole vectors
  Index cells = 1;              ///< most positions an output value
  std::vector<Index> position;  ///< [cells x padded]; -1: none
  std::vector<float> share;     ///< [padded]: 1 / positions of an average, else 1
};

/// Empty where the path is another.
std::optional<PlaneShape> plane_shape(const Network& network, const ChannelPath& path);

/// What single weights of one output channel of a convolution do to a block of images, bounded (theory,
/// section 11).
class ChannelScreen {
 public:
  ChannelScreen(const Network& network, const ChannelPath& path, const ChannelConv& conv,
                const PlaneShape& shape, const Sensitivity& above, Index channel);

  /// One weight on one image.
  class Weight {
   public:
    /// False where no value that the weight meets differs from 0.
    /// `weight` of the kernel, `image` the whole input of the convolution, `row` in the block.
    bool begin(const ChannelScreen& screen, Index weight, const float* image, Index row);
    struct Bound {
      bool safe;    ///< the prediction surely stays, in float32
      bool finite;  ///< no sum comes near overflow
      float drop;   ///< the margin drop is at most this, in exact arithmetic; NaN: unknown
    };
    /// Of a change of the weight.
    Bound bound(double delta);
    /// Margin drop in double.
    double drop(double delta);

   private:
    const ChannelScreen* screen_ = nullptr;
    Index image_ = 0;
    double most_ = 0;            ///< sum over outputs of the largest value met
    double reach_ = 0;           ///< the same, each times the reach of the output
    std::vector<float> met_;     ///< [cells x padded]
    std::vector<float> change_;  ///< [padded]
    std::vector<float> leads_;   ///< [classes padded]
    VectorD exact_;
  };

 private:
  static constexpr int steps = 24;

  std::size_t cells() const { return static_cast<std::size_t>(shape_->cells * shape_->padded); }
  void place_planes(Index image);
  void place_logits(Index image);
  void place_error(Index image);
  void add_remainders(Index image);

  const Network* network_;
  const ChannelConv* conv_;
  const PlaneShape* shape_;
  const Sensitivity* above_;
  const ChannelPath* path_;
  Index channel_;
  Index wide_;                        ///< classes, padded to whole vectors
  std::vector<double> reach_;         ///< [padded]: of each output, 0 in the padding
  std::vector<std::int32_t> places_;  ///< [taps][cells x padded]: in an input plane; -1: padding
  std::vector<float> gap_;            ///< [images][cells x padded]: a position's value less the output's
  std::vector<float> low_;  ///< [images][cells x padded]: least change; of a maximum the same in every cell
  std::vector<float> linear_;     ///< [images][padded x wide]
  std::vector<float> lead_;       ///< [images][wide]: golden leads; infinite for the prediction itself
  std::vector<float> room_;       ///< [images][wide]: how far above the least the label's leads are
  std::vector<float> error_;      ///< [images]: rounding of logits without a change
  std::vector<float> straight_;   ///< [images]: up to this norm of a change no unit above crosses 0
  std::vector<float> remainder_;  ///< [images][steps x wide]: by the norm, up to straight * 2^(step / 2)
  double growing_ = 0;            ///< rounding of logits by sum of reach * change
  double own_growing_ = 0;        ///< of what is computed here
};

}  // namespace temblor::census
