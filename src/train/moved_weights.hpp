#pragma once

#include <vector>

#include <temblor/network/types.hpp>

namespace temblor {

/// A copy of a network's parameters, to be moved and looked at while the network keeps its own.
class MovedWeights {
 public:
  explicit MovedWeights(const WeightView& base) {
    for (const Weights* layer : base) layers_.push_back(*layer);
    for (const Weights& layer : layers_) view_.push_back(&layer);
  }
  MovedWeights(const MovedWeights&) = delete;
  MovedWeights& operator=(const MovedWeights&) = delete;

  Weights& operator[](std::size_t layer) { return layers_[layer]; }
  const WeightView& view() const { return view_; }

 private:
  std::vector<Weights> layers_;
  WeightView view_;
};

/// Sum of squares, in double.
template <class Values>
double square_sum(const Values& values) {
  return values.template cast<double>().squaredNorm();
}

}  // namespace temblor
