#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <temblor/base/params.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/memory.hpp>
#include <temblor/perturb/perturbation.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/perturb/threat.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {

/// What a protection looks at, and so which attacks it can be set against.
enum class ProtectionOf {
  nothing,     ///< no protection
  codes,       ///< the stored bits: only attacks that invert bits of the codes
  weights,     ///< the decoded weights: every attack with one network for all images
  activations  ///< the network while it runs: the same attacks
};

/// What one trial's faults met. A word is the unit that the protection checks.
struct ProtectionCounts {
  std::int64_t corrected = 0;     ///< words with faults that are read right
  std::int64_t detected = 0;      ///< words known to be wrong that could not be repaired
  std::int64_t miscorrected = 0;  ///< words that the repair itself left wrong
  std::int64_t undetected = 0;    ///< faulty words that are used as they are
  std::int64_t check_faults = 0;  ///< inverted bits of what the protection added to the memory
};

/// How a trial treats memory that only the protection needs.
struct Exposure {
  const LayerSet& layers;  ///< layers whose memory the attack faults
  double rate = 0;         ///< probability of every added bit to be inverted, independently
  bool nested = false;     ///< added bits inverted at a lower rate are among those at a higher one
};

/// A protection of one network in one number format. Const and safe to call from many threads at once.
class Protection {
 public:
  virtual ~Protection() = default;
  /// Bits it adds to the memory of the network.
  virtual std::uint64_t overhead_bits() const = 0;
  /// Turns what the attack did to the memory into what the network computes with. Perturbation::faults stays
  /// the list of injected faults. `stream` is the protection's own.
  virtual ProtectionCounts apply(const Exposure& exposure, const Stream& stream,
                                 Perturbation& perturbation) const = 0;
  /// Whether what it leaves of any perturbation of the set is in the set. False: nothing is claimed.
  virtual bool stays_in(const ThreatSet&) const { return false; }
  /// Hidden outputs are held within the ranges they have without faults.
  virtual bool clamps_activations() const { return false; }
};

/// References outlive the protection.
struct ProtectionContext {
  const StoredNetwork& stored;
  const Dataset& data;
  Params params;
  /// Scores of every weight, one vector a weighted layer, read from a census file; empty where files cannot
  /// be read.
  std::function<std::vector<std::vector<double>>(const std::string& file)> census{};
  MemorySpec memory{};  ///< where the codes are
};

/// A protection: one file in src/perturb/protections/ and one line in its table.cpp.
struct ProtectionEntry {
  std::string name;
  std::string help;     ///< one line
  std::string example;  ///< value of --protect
  std::string source;   ///< paper or standard practice
  ProtectionOf of;
  std::vector<ParamSpec> params;
  std::unique_ptr<Protection> (*make)(const ProtectionContext& context);
};

/// All protections; the first is "none". An incomplete entry throws at first use.
const std::vector<ProtectionEntry>& protection_table();
/// By name; usage error with the nearest name otherwise.
const ProtectionEntry& find_protection(std::string_view name);

/// A protection with its parameters, as in "parity:width=32".
struct ProtectionChoice {
  const ProtectionEntry* entry = nullptr;
  Params params;

  /// "parity:width=32": the name, and the parameters that are not at their defaults, in the order of names.
  std::string text() const;
  bool none() const { return entry->of == ProtectionOf::nothing; }
};
/// NAME or NAME:PARAMETER=VALUE:...; usage errors name what is wrong.
ProtectionChoice parse_protection(const std::string& text);

}  // namespace temblor
