#pragma once

#include "moves.hpp"
#include "objective.hpp"

#include <cstdint>
#include <vector>

#include <temblor/attacks/flip_search.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor::pbs {

struct Options {
  std::int64_t flips = 0;
  std::size_t candidates = 1;  ///< of each layer, evaluated in every iteration
  double stop_accuracy = -1;   ///< stops when at most this share of FlipLog::images is right
  double stop_success = 1;     ///< targeted: stops when this share of the attacked images is where wanted
  bool nonfinite = false;      ///< flips that make a value, or a logit of the batch, infinite or NaN
};

/// Progressive bit search (Rakin, He, Fan, ICCV 2019): in every iteration the gradient of the objective by
/// the decoded weights ranks the bits of every layer, each layer's best are flipped and evaluated one by one
/// (in-layer search), and the flip with the highest objective of all layers stays (cross-layer search). Where
/// none raises the objective, more of each ranking are tried, four times as many at a time; after
/// 4^widenings the search is stuck. A bit is flipped at most once. Losses are those of an ordinary forward
/// pass, bit for bit; candidates that can no longer be the best are left where that shows. `words` as
/// LayerWords(codes[layer], nonfinite), one a layer of `layers`. Any network.
FlipLog search(const Network& network, const LayerSet& layers, std::vector<LayerWords> words,
               const Batch& batch, const Options& options);
constexpr int widenings = 3;

}  // namespace temblor::pbs
