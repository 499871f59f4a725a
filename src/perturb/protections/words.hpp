#pragma once

#include <cstdint>

#include <temblor/perturb/data_words.hpp>
#include <temblor/perturb/protection.hpp>

namespace temblor {

/// What a code makes of the inverted bits of one word.
struct WordVerdict {
  std::uint64_t data;  ///< data bits that are wrong after the decoder
  bool repaired;       ///< the decoder inverted a bit
  bool detected;       ///< known to be wrong, not repaired
};

/// Protections that keep check bits beside every word of the memory.
class WordProtection : public Protection {
 public:
  WordProtection(const ProtectionContext& context, int width, int check_bits);
  std::uint64_t overhead_bits() const final;
  ProtectionCounts apply(const Exposure& exposure, const Stream& stream,
                         Perturbation& perturbation) const final;

 private:
  virtual WordVerdict decode(std::uint64_t data, std::uint32_t check) const = 0;

  struct Errors {
    std::uint64_t word;
    std::uint64_t data;
    std::uint32_t check;
  };
  std::vector<Errors> errors_of(const Exposure& exposure, const Stream& stream,
                                const std::vector<BitFault>& faults, ProtectionCounts& counts) const;

  const std::vector<Encoded>* codes_;
  DataWords words_;
  std::uint64_t check_bits_;
  Params params_;
};

/// Parameters of every word protection: what a detected word becomes, and whether check bits are hit.
std::vector<ParamSpec> word_params();

/// Which bits of which weights are wrong when all repairs are done; as weights.
class Residual {
 public:
  void flip(const BitAddress& at) { entries_.push_back({at.layer, at.index, 1U << at.bit, false}); }
  void zero(std::uint32_t layer, std::uint32_t index) { entries_.push_back({layer, index, 0, true}); }
  /// The weights that differ: decoded, or 0.
  SparseDelta weights(const std::vector<Encoded>& codes);

 private:
  struct Entry {
    std::uint32_t layer;
    std::uint32_t index;
    std::uint32_t mask;
    bool zero;
  };
  std::vector<Entry> entries_;
};

}  // namespace temblor
