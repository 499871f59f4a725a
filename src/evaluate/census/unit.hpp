#pragma once

#include "exact.hpp"
#include "ray.hpp"
#include "tail.hpp"

#include <functional>
#include <span>
#include <vector>

#include <temblor/evaluate/census.hpp>

namespace temblor::census {

/// What all units of one stage share.
struct StageTables {
  StageTables(const Baseline& baseline, const Chain& layers, std::size_t index, const Encoded& stored,
              std::vector<int> chosen, Index first);

  Baseline base;
  const Chain* chain;
  std::size_t stage;
  const Encoded* codes;
  std::vector<int> bits;
  Index first_image;  ///< row in the whole set of the first image
  RayTracer tracer;
  Index stride;                     ///< images, padded to whole chunks
  std::vector<float> inputs;        ///< [inputs x stride], 0 in the padding
  std::vector<bool> negative;       ///< [inputs]: some image has a negative value
  std::vector<bool> zero;           ///< [inputs]: 0 for every image
  std::vector<std::uint8_t> right;  ///< [images]: golden prediction is the label
};

/// The census of one unit's weights: rays once, then every fault of every weight by look-up. One worker's;
/// buffers are reused from unit to unit.
class UnitCensus {
 public:
  UnitCensus(const Baseline& base, const Chain& chain) : exact_(base, chain) {}

  /// Fills the unit's rows of `out`. `stop` is asked between weights.
  void run(const StageTables& tables, Index unit, LayerCensus& out, const std::function<bool()>& stop);
  std::int64_t inferred() const { return inferred_; }  ///< pairs of image and fault, so far

  static constexpr Index chunk = 64;  ///< images that are looked at together
  static constexpr int levels = 8;    ///< of reach, each a factor 8 below the one before

 private:
  /// A fault of one weight.
  struct Fault {
    std::uint32_t bit;  ///< index in the chosen bits
    float after;
    double delta;
    double size;  ///< |delta|
    int level;    ///< of reach; -1: beyond the traced reach
  };
  /// A pair that is to be inferred again.
  struct Pair {
    std::int32_t image;
    std::uint32_t fault;  ///< in the unit: input * bits + bit
    bool drop;            ///< the drop too
  };

  struct Effect {
    std::int32_t code;
    double drop;
  };

  void decode(Index unit);
  void trace(Index unit);
  void weigh(Index input);
  void sort_faults(Index input);
  void count_small(Index input);
  void count_image(Index input, Index image);
  std::int32_t pack(std::size_t image, std::int32_t code) const;
  struct Zones;

  void prepare_large();
  void count_large(Index input, const Fault& fault);
  void large_drop(Index input, const Fault& fault, const Zones& zones, float top);
  Effect look_up(const Fault& fault, Index image, float z) const;
  void large_image(Index input, const Fault& fault, Index image);
  void drops(Index input, int level, std::size_t side);
  void outcome(std::uint32_t fault, std::int32_t image, std::int32_t code);
  void drop(std::uint32_t fault, std::int32_t image, double value);
  void infer();
  std::uint32_t place(Index input, std::uint32_t bit) const {
    return static_cast<std::uint32_t>(input) * static_cast<std::uint32_t>(tables_->bits.size()) + bit;
  }

  Reinference exact_;
  const StageTables* tables_ = nullptr;
  LayerCensus* out_ = nullptr;
  std::size_t base_fault_ = 0;  ///< of the unit in the layer's arrays
  Tail tail_;
  Rays rays_;
  double reach_ = 0;
  std::vector<float> after_;             ///< [inputs x bits]: faulty weights
  std::vector<double> delta_;            ///< their change
  std::vector<float> harmless_[2];       ///< [stride]: up to this distance the prediction stays
  std::vector<float> steep_[levels][2];  ///< [stride]: largest drop / distance within the level's reach
  bool any_steep_[levels][2] = {};
  // For faults beyond the reach, packed as in pack() and taken from the ends of the rays.
  double dead_from_ = 0;                 ///< downward distance at which the unit is dead for every image
  std::vector<std::int32_t> dead_word_;  ///< [stride]
  std::vector<std::int32_t> tail_word_;  ///< [stride]
  std::vector<std::int32_t> lost_word_;  ///< [stride]
  std::vector<float> dead_drop_;         ///< [stride]: margin drop where the unit is dead, at least 0
  std::vector<float> tail_rate_;         ///< [stride]: margin drop by distance far up, at least 0
  std::vector<Fault> faults_[2];         ///< of one weight: delta > 0, delta < 0; by size
  std::vector<Fault> large_;             ///< of one weight: beyond the reach, or not finite
  std::vector<float> chunk_most_;        ///< largest steep * |input| of each chunk
  std::vector<Pair> pairs_;
  std::vector<Variant> variants_;
  std::int64_t inferred_ = 0;
};

}  // namespace temblor::census
