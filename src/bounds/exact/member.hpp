#pragma once

#include <cstdint>
#include <vector>

#include <temblor/bounds/enclosure.hpp>
#include <temblor/perturb/perturbation.hpp>

namespace temblor::exact {

/// A chain of dense layers and the box around it, in double.
struct Chain {
  struct Layer {
    MatrixD weight;   ///< [units x inputs]
    MatrixD columns;  ///< its transposed
    VectorD bias;     ///< [units]
    double uniform;   ///< R where it is the same for every weight
    MatrixD radius;   ///< R otherwise [units x inputs]
    MatrixD radius_columns;
    VectorD slack;                             ///< r [units]
    bool moves;                                ///< whether the box has any width here
    VectorD reach(const VectorD& size) const;  ///< R size + r, size >= 0
  };
  std::vector<Layer> layers;

  Chain(const Network& network, const std::vector<std::optional<Radius>>& radius);
  std::size_t hidden() const { return layers.size() - 1; }
};

/// The first hidden layer that a box moves; the last one where none does.
std::size_t base_layer(const Network& network, const std::vector<std::optional<Radius>>& radius);

/// Members of the box as one image sees them: a slack s in [-1, 1] a hidden unit (theory, section 4b), kept
/// as float, and the search for those with a low pair margin f^{yj}. Slack of the last hidden layer and of
/// the logits is always the best: their signs are known. A moving image counts as hidden layer 0, all others
/// come one later, and its `slack` and activations are its values.
class Members {
 public:
  /// Layers before `base` do not move. What enters the chain is `image`, known up to `error`.
  Members(const Chain& chain, std::size_t base, const VectorD& image, VectorD error);
  /// The image moves between `least` and `most`.
  Members(const Chain& chain, VectorD least, VectorD most);
  void aim(std::int32_t label, std::int32_t rival);
  std::size_t layers() const { return last_ + 1; }

  /// The member whose activations are as close as can be to wanted(layer)(unit); unit by unit, upward.
  /// Layer by layer one vector, from the base layer on; 0 means off. Returns the pair margin.
  double follow(const std::vector<VectorD>& wanted);
  /// Moves one unit at a time to another end while that lowers the margin. Returns it.
  double polish(int sweeps);
  double margin() const { return margin_; }
  /// Activations of the present member.
  const VectorD& active(std::size_t layer) const { return active_[layer]; }
  /// An upper limit on the pair margin of the present member in exact arithmetic.
  double margin_above() const;
  /// By hidden layer; for the last hidden layer the best signs. Layers that do not move have 0.
  std::vector<VectorD> slack() const { return slack_; }
  void load(const std::vector<VectorD>& slack);

 private:
  bool image_moves() const { return least_.size() != 0; }
  /// The first layer with a slack that counts.
  std::size_t first() const { return image_moves() ? 1 : base_; }
  const Chain::Layer& into(std::size_t layer) const {
    return chain_->layers[layer - (image_moves() ? 1 : 0)];
  }
  void enter(std::size_t layer);
  double finish(std::size_t layer, const VectorD& centre, const VectorD& reach, bool keep);
  double forward(std::size_t from, bool keep);
  double try_end(std::size_t layer, Index unit, double end, bool keep);
  double try_value(Index value, double x, bool keep);
  VectorD image_gradient() const;
  bool polish_image();

  const Chain* chain_;
  VectorD least_, most_;
  std::size_t base_;
  std::size_t last_;  ///< the last hidden layer
  VectorD before_;    ///< activations that enter the base layer
  VectorD before_error_;
  VectorD cost_;  ///< on the last hidden activations
  double constant_ = 0;
  std::int32_t label_ = 0, rival_ = 0;
  std::vector<VectorD> slack_, centre_, reach_, active_;
  double margin_ = 0;
  mutable VectorD scratch_centre_, scratch_reach_;
};

/// Members for image n of `data`, which does not move, or for what `entry` says enters in its place.
Members still_members(const Chain& chain, std::size_t base, const Dataset& data, const EntryBox* entry,
                      Index n);

/// Image n's member of a perturbation, as Members has it.
std::vector<VectorD> taken(const SampleDelta& delta, const Chain& chain, const Dataset& data, Index n);
/// Writes a member into a perturbation whose slack has the size of the set's layers; values of a moving image
/// as the nearest floats of the set.
void put(const std::vector<VectorD>& slack, const Dataset& data, Index n, SampleDelta& delta);

}  // namespace temblor::exact
