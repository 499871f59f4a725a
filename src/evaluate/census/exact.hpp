#pragma once

#include "../chain.hpp"
#include "../state.hpp"

#include <span>
#include <vector>

namespace temblor::census {

/// One fault of one unit: a weight of its row replaced.
struct Variant {
  std::uint32_t fault;  ///< the caller's number
  std::uint32_t input;  ///< which weight
  float after;
};

/// What full inference gives.
struct Inferred {
  std::uint32_t fault;
  std::int32_t prediction;  ///< -1: none
  double margin;            ///< for the label; NaN without prediction
};

/// Infers single images again with single weights of one unit replaced, bit for bit as full inference does:
/// everything that does not depend on the unit keeps its golden value.
class Reinference {
 public:
  Reinference(const Baseline& base, const Chain& chain) : base_(base), chain_(&chain) {}

  void begin(std::size_t stage, Index unit);
  /// Results in the order of their pre-activations.
  std::span<const Inferred> run(Index image, std::span<const Variant> variants);

 private:
  static constexpr Index batch = 32;

  void infer(Index image, std::span<const float> sums);

  Baseline base_;
  const Chain* chain_;
  std::size_t stage_ = 0;
  Index unit_ = 0;
  const float* row_ = nullptr;
  PackedDense copies_;
  struct Sum {
    float value;
    std::uint32_t fault;
  };
  std::vector<Sum> sums_;
  std::vector<float> distinct_;
  std::vector<Inferred> outcomes_;  ///< one a distinct sum
  std::vector<Inferred> results_;
  std::vector<float> here_, there_;
};

}  // namespace temblor::census
