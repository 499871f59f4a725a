#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <temblor/attacks/attack.hpp>
#include <temblor/perturb/faults.hpp>
#include <temblor/perturb/population.hpp>

namespace temblor {

/// How many members of a population are hit: each with a probability, the same from hashes that all points
/// share, or an exact number.
enum class Draw { each, nested, count };
Draw draw_of(const Params& params);
/// The parameter `mode`; its first choice, the default, is called `each` ("ber", "rate").
ParamSpec mode_param(const std::string& each, const std::string& members);
/// The quantity of an attack with that parameter: a probability for every member, or their number.
Quantity drawn_quantity(const Params& params, const std::string& rate, const Quantity& number,
                        const std::string& chance);

/// Members of {0..n-1}, sorted: `severity` is a probability, or their number.
std::vector<std::uint64_t> draw_positions(const Stream& stream, Draw draw, std::uint64_t n, double severity);
/// The same with marks; the hash is uniform on (0, severity) unless a number is drawn.
std::vector<Arrival> draw_arrivals(const Stream& stream, Draw draw, std::uint64_t n, double severity);

/// What a faulty cell, row or word reads as.
enum class Fill { zero, ones, random, invert };
/// The parameter `value` with these choices, of which the first is the default.
ParamSpec value_param(const std::string& help, const std::vector<std::string>& choices);
Fill fill_of(const Params& params);

/// An attack on stored codes that chooses bits to invert.
class StoredFaults : public Attack {
 public:
  explicit StoredFaults(const AttackContext& context);
  StoredFaults(const StoredFaults&) = delete;
  StoredFaults& operator=(const StoredFaults&) = delete;

  std::optional<CodeFaults> code_faults() const override { return CodeFaults{}; }

 protected:
  const Network& network() const { return network_; }
  const LayerSet& layers() const { return layers_; }
  const Format& format() const { return format_; }
  double severity() const { return severity_; }
  /// One a weighted layer.
  const std::vector<Encoded>& codes() const { return *codes_; }
  bool stored_bit(const BitAddress& at) const {
    return (codes()[at.layer].codes[at.index] >> at.bit & 1U) != 0;
  }
  std::vector<WordGrid> code_grids() const;
  std::uint32_t all_bits() const;  ///< mask of a code

  /// Inverts these bits (in any order, repeats count once).
  Perturbation inverted(std::vector<BitAddress> bits) const;
  /// Refuses a number of members beyond the population: "attack 'bit-flip', flips 9 (.. hold 8 bits)".
  void refuse_more_than(std::uint64_t population, const std::string& attack, const std::string& what,
                        const std::string& members) const;
  /// The threat set of any number of flips, or, when `most` flips bound it, of at most that many in `mask`.
  ThreatSet random_flips(const std::string& what) const;
  ThreatSet bounded_flips(const std::string& what, std::uint64_t most, std::uint32_t mask) const;

 private:
  const Network& network_;
  LayerSet layers_;
  const Format& format_;
  double severity_;
  std::vector<Encoded> own_codes_;
  const std::vector<Encoded>* codes_;
};

/// Bits of stored words by the parameters field, bit and channel.
struct Stratum {
  const Format* word;  ///< format of the words
  std::vector<std::uint32_t> bits;
  std::vector<std::uint64_t> rows;  ///< empty: all

  std::uint32_t mask() const;
  std::string text() const;  ///< canonical: "all", "7", "0+7 channel=3"
};
std::vector<ParamSpec> stratum_params();
/// Usage error when nothing is left, or a layer lacks a channel.
Stratum stratum_of(const AttackContext& context, const std::string& attack, const Format& word,
                   const std::vector<WordGrid>& grids);

/// Units of a memory filled as a whole, bits of chosen layers only: collects what has to flip.
class Filling {
 public:
  Filling(const MemoryLayout& layout, const std::vector<Encoded>& codes, Fill fill)
      : layout_(layout), codes_(codes), fill_(fill) {}
  /// `mark` makes the random values.
  void add(const std::vector<std::uint64_t>& addresses, std::uint64_t mark);
  /// Bits to invert; of a bit that was filled twice the last filling counts.
  std::vector<BitAddress> flips() const;

 private:
  const MemoryLayout& layout_;
  const std::vector<Encoded>& codes_;
  Fill fill_;
  std::vector<std::pair<std::uint64_t, bool>> cells_;  ///< address, to be inverted
};

}  // namespace temblor
