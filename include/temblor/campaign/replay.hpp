#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <temblor/attacks/flip_search.hpp>
#include <temblor/campaign/plan.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

struct ReplayRequest {
  std::string file;
  std::int64_t point = 0;
  std::int64_t trial = 0;
  std::optional<std::int64_t> sample{};    ///< row of /samples; the trial's worst one when empty
  std::optional<std::string> network{};    ///< where the network is now
  std::optional<std::string> directory{};  ///< where the data are now
  std::int64_t activation_memory = default_activation_memory;
};

/// An inverted bit of an activation.
struct ActivationFlip {
  std::int64_t sample = 0;  ///< row of /samples
  std::string layer;        ///< whose outputs are held, or "image"
  std::string unit;         ///< "channel/row/column", or its number (unit_name)
  int bit = 0;
};

/// One trial made again.
struct Replay {
  std::string network;      ///< file the network came from
  std::string description;  ///< "weight-pgd eps=0.001 layers=all format=fp32"
  TrialRow stored;
  TrialRow again;
  std::string message;       ///< why the trial failed, when it did
  std::int64_t sample = -1;  ///< row of /samples
  double drop = 0;           ///< margin drop of that image
  bool per_sample = false;
  /// The perturbed network (for per-sample attacks the one that image sees); empty where the trial failed, or
  /// activations are faulty and not weights.
  std::optional<Network> broken;
  std::optional<FlipLog> log;                              ///< of attacks that search for flips one by one
  std::optional<std::vector<ActivationFlip>> activations;  ///< of attacks on activations, image by image
  std::vector<std::string> layers;                         ///< names of the weighted layers
  const Format* format = nullptr;                          ///< stored format of the weights
  std::optional<Matrix> image;  ///< [1 x values], scaled: the moved image, where the attack moves it
};

/// The plan of a result file, from what it says and its inputs: the network and directory given, else those
/// it names, else files of the same names beside it. Bad-input errors name the file that changed since.
Plan plan_again(const ResultFile& result, const std::optional<std::string>& network,
                const std::optional<std::string>& directory);

/// Rebuilds one trial from the result file alone and its inputs. Bad-input errors name the file that changed
/// since; usage errors a point, trial or sample out of range.
Replay replay(const ReplayRequest& request);

/// Whether two rows agree in every bit that is a result (NaN equals NaN).
bool same_trial(const TrialRow& a, const TrialRow& b);

}  // namespace temblor
