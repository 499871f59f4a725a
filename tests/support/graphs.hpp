#pragma once

#include <string>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/threat.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::testing {

/// Builds small networks layer by layer with random parameters (normal, scaled by fan-in; biases a quarter).
class GraphBuilder {
 public:
  GraphBuilder(Shape input, Stream& stream) : network_(std::move(input), {}), stream_(stream) {}

  int convolution(Index outputs, const LayerOptions& options, std::vector<int> inputs = {});
  int dense(Index outputs, std::vector<int> inputs = {});
  int scale(std::vector<int> inputs = {});
  /// A layer without parameters.
  int layer(const std::string& kind, const LayerOptions& options = {}, std::vector<int> inputs = {});
  const Network& network() const { return network_; }

 private:
  int weighted(const std::string& kind, const LayerOptions& options, Index outputs, Index depth,
               std::vector<int> inputs);
  Shape before(const std::vector<int>& inputs) const;

  Network network_;
  Stream& stream_;
};

/// Small networks on 2x5x4 images, by name: with a maximum pool; a residual block; groups, stride, padding,
/// dilation and a scale layer; joined branches; without a dense layer.
const std::vector<std::string>& graph_names();
Network small_graph(const std::string& name, Stream& stream);
/// Random images, of any sign or not, labelled by turns.
Dataset graph_images(const Network& network, Index count, bool any_sign, Stream& stream);

/// A random choice of layers, never none.
LayerSet some_layers(const Network& network, Stream& stream);

/// The float32 number nearest to `to` that is within `radius` of `from`, on the same side.
float toward(float from, double to, double radius);
/// Raises `reached` [images x classes] to the drops of f^{yj} that `moved` has on `images` against the
/// network on the data's, in exact arithmetic, rounded down.
void note_drops(const Network& network, const Network& moved, const Dataset& data, const MatrixD& images,
                MatrixD& reached);

/// The network with every parameter of the boxes at w + position * R, rounded toward w where float32 has no
/// such number: a member of the set. `positions` in [-1, 1], one matrix or vector a weighted layer; null: 0.
Network box_member(const Network& network, const ThreatSet& set, const std::vector<Weights>& positions);

/// Drops of f^{yj} that members of a box set (and of its box around the images) really have, in exact
/// arithmetic, rounded down, [images x classes]: random corners, and corners by the signs of gradients, pair
/// by pair.
MatrixD reached_drops(const Network& network, const Dataset& data, const ThreatSet& set, int starts,
                      Stream& stream);

}  // namespace temblor::testing
