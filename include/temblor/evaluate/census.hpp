#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/perturb/stored.hpp>

namespace temblor {

/// How the faults of a layer were counted (theory, section 11).
enum class CensusMethod {
  rays,      ///< of a chain of dense layers with ReLU that the network ends with
  channels,  ///< of a convolution: from the changed channel on
  inference  ///< every fault inferred again
};

/// What every single-bit fault of one weighted layer does to the whole set; dense arrays
/// [outputs x inputs x bits], row-major.
struct LayerCensus {
  int layer = 0;
  Index outputs = 0;
  Index inputs = 0;
  CensusMethod method = CensusMethod::rays;
  std::vector<std::int32_t> changed;        ///< finite logits, prediction not the golden one
  std::vector<std::int32_t> broken;         ///< right before, wrong or no prediction after
  std::vector<std::int32_t> fixed;          ///< wrong before, right after
  std::vector<std::int32_t> no_prediction;  ///< some logit is not finite
  /// Largest margin drop over the images: +inf when some logit is not finite, 0 when no image loses margin.
  std::vector<double> worst_drop;
  std::vector<std::int32_t> worst_image;  ///< its row, the lowest on ties; -1 when no image loses margin

  std::size_t faults() const { return changed.size(); }
};

/// Every chosen bit of every weight of the chosen layers, one at a time.
struct Census {
  std::vector<int> bits;            ///< chosen bits of the code, ascending
  std::vector<LayerCensus> layers;  ///< chosen layers, ascending
  bool traced = false;              ///< no layer was counted by inference alone
  std::string why_not_traced;       ///< the reason, when one was
  std::int64_t inferred = 0;        ///< pairs of fault and image that were inferred again

  /// "rays", "channels", "inference": those that some layer took.
  std::vector<std::string> methods() const;
};

struct CensusRequest {
  std::vector<int> layers;  ///< weighted layers, ascending
  std::vector<int> bits;    ///< bits of the format, ascending
  bool trace = true;        ///< false: infer every fault again (slow; for tests)
  Index block = 0;          ///< images that are held at a time where the network is no chain; 0: by memory
  /// Called now and then by any worker, with the share of the work that is done; false stops the census with
  /// an interrupted error. May be empty.
  std::function<bool(double)> progress{};
};

/// Exact census of single-bit faults. Counts are those of full re-inference of every fault (TrialCounts).
/// Worst drops are those of the network above the faulty unit in exact arithmetic, started from the golden
/// float32 run (theory, section 11): within the rounding bound of float32 inference of what that gives, which
/// is also what is stored where inference decided. `evaluator` is of stored.network on `data`.
///
/// Chains of dense and ReLU layers, and such ends of other networks, are traced. Faults of convolutions are
/// inferred from the changed channel on. Other layers are inferred again fault by fault.
/// `correct` of a fault is golden.correct - broken + fixed. The same numbers for any number of threads.
Census take_census(const StoredNetwork& stored, const Dataset& data, const Evaluator& evaluator,
                   const CensusRequest& request);

}  // namespace temblor
