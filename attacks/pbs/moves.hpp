#pragma once

#include <cstdint>
#include <vector>

#include <Eigen/Core>

#include <temblor/formats/format.hpp>

namespace temblor::pbs {

/// A bit of a layer's codes and what its flip gains to first order.
struct Candidate {
  float gain;  ///< gradient times the change of the decoded value, in float
  std::uint32_t index;
  std::uint32_t bit;
};

/// Words of one layer during a search, with how far one flip can move each weight: `up` and `down` bound the
/// gain of all its bits, so that a ranking looks at the bits of very few weights. A bit that was flipped is
/// out of the game.
class LayerWords {
 public:
  /// `clean` must outlive the object. `nonfinite`: flips to infinity or NaN are candidates, too.
  LayerWords(const Encoded& clean, bool nonfinite);

  const Encoded& clean() const { return *clean_; }
  std::uint32_t word(std::size_t index) const { return words_[index]; }
  float value(std::size_t index) const { return clean_->decode(index, words_[index]); }
  float flipped(const Candidate& bit) const {
    return clean_->decode(bit.index, words_[bit.index] ^ (1U << bit.bit));
  }
  /// Bits that may still be flipped, at most: some of them may give values that are not allowed.
  std::size_t bits_left() const { return left_; }

  /// The `count` bits of largest gain, largest first; ties by index, then bit. `gradient` [weights]: of what
  /// is to rise; finite.
  std::vector<Candidate> best(const float* gradient, std::size_t count) const;
  void flip(std::uint32_t index, std::uint32_t bit);

 private:
  void look(std::size_t index);
  bool allowed(std::size_t index, unsigned bit, float& after) const;

  const Encoded* clean_;
  bool nonfinite_;
  std::vector<std::uint32_t> words_;
  Eigen::ArrayXf up_, down_;  ///< [weights], not negative
  std::size_t left_;
};

}  // namespace temblor::pbs
