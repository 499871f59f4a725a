#pragma once

#include <map>
#include <memory>
#include <string>

#include <temblor/attacks/flip_search.hpp>

namespace temblor::testing {

/// What a search for bits is tried on: a network, the same stored in a format, and data.
struct SearchBench {
  using Given = std::map<std::string, std::string>;

  Network network;
  Dataset data;
  StoredNetwork stored;

  SearchBench(const Network& made, Index images, const std::string& format);

  /// progressive-bit-search; untargeted without a limit on the loss unless asked for. All layers when empty.
  std::unique_ptr<FlipSearch> attack(double flips, Given given, LayerSet layers = {}) const;
  FlipLog log(double flips, const Given& given, const LayerSet& layers = {}) const;
  /// The network with a perturbation of stored codes.
  Network broken(const Perturbation& perturbation) const;
};

/// Four classes of 40 images each around prototypes, and a network trained on them.
SearchBench trained_bench(const std::string& format);

struct MeanLoss {
  double mean = 0;
  std::int64_t correct = 0;
};
/// Mean cross-entropy over all images in double, from the logits of an ordinary pass.
MeanLoss loss_of(const Network& network, const Dataset& data);
/// Images of class `label` predicted `as`.
std::int64_t predicted_as(const Network& network, const Dataset& data, std::int32_t label, std::int32_t as);

}  // namespace temblor::testing
