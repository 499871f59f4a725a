#pragma once

#include <memory>
#include <optional>
#include <string>
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

/// What a severity of an attack measures.
struct Quantity {
  std::string name;  ///< "eps", "ber", "bits", "flips"
  std::string help;  ///< "largest absolute change of a weight"
  std::string unit;  ///< "" for a pure number
  double least;      ///< smallest allowed, included
  double most;       ///< largest allowed, included
  bool whole;        ///< whole numbers only
  /// A probability of faults, which a table of voltages may give.
  bool rate = false;
  /// The severity of a campaign that gives none.
  std::optional<double> initial{};
};

/// Everything an attack may look at. References outlive the attack.
struct AttackContext {
  const Network& network;  ///< its weights already rounded to `format` (decoded codes)
  const Dataset& data;
  const Format& format;  ///< stored format of the weights; fp32 is the identity
  LayerSet layers;       ///< chosen weighted layers, never empty
  double severity;
  Params params;
  /// The stored codes behind `network`. Null: attacks on codes encode `network` again, and refuse (internal
  /// error) where that does not give its weights back (affine formats).
  const StoredNetwork* stored = nullptr;
  MemorySpec memory{};                ///< where the codes are
  const Network* original = nullptr;  ///< as its file has it, before `format` rounded it; null: not known
};

/// What an attack on stored codes does to bits of the same memory that hold no codes.
struct CodeFaults {
  double rate = 0;  ///< probability of every bit to be inverted, 0 where the attack chooses bits otherwise
  bool nested =
      false;  ///< from hashes: at a trial the faults of a lower rate are among those of a higher one
};

/// One point of a campaign, ready to draw trials. Pure: the same stream gives the same perturbation; const
/// and safe to call from many threads at once.
class Attack {
 public:
  virtual ~Attack() = default;
  virtual Perturbation perturb(const Stream& stream) const = 0;
  /// The set no perturbation of this point leaves.
  virtual ThreatSet threat() const = 0;
  /// Every trial gives the same perturbation (actual rounding): one trial is enough.
  virtual bool deterministic() const { return false; }
  /// Set when every perturbation is inverted bits of the stored codes, which Perturbation::faults lists. Only
  /// such attacks can meet protections of the stored codes.
  virtual std::optional<CodeFaults> code_faults() const { return std::nullopt; }
  /// Every image has a perturbation of its own.
  virtual bool per_sample() const { return false; }
  /// Faults of which every trial injects one, each as likely as the others: shares of trials estimate shares
  /// of this population. 0: trials are no such draws.
  virtual std::uint64_t population() const { return 0; }
};

/// An attack: one file in attacks/ and one line in attacks/table.cpp.
struct AttackEntry {
  std::string name;
  std::string help;     ///< one line
  std::string example;  ///< arguments of `temblor run` that use it, without network, data and output
  std::string source;   ///< paper, or "baseline"
  bool gradient;        ///< needs gradients
  bool stored_codes;    ///< acts on stored codes: the format matters
  /// The quantity that severity measures, given the checked parameters (bit-flip: ber or number of flips).
  Quantity (*quantity)(const Params& params);
  std::vector<ParamSpec> params;
  std::unique_ptr<Attack> (*make)(const AttackContext& context);
  /// The fault-free network of its points, where that is not the stored network as it is; null otherwise.
  StoredNetwork (*base)(const StoredNetwork& stored, const Dataset& data, const LayerSet& layers,
                        const Params& params) = nullptr;
};

/// All attacks. An incomplete entry throws at first use.
const std::vector<AttackEntry>& attack_table();
/// By name; usage error with the nearest name otherwise.
const AttackEntry& find_attack(std::string_view name);

/// Checks a severity against the attack's quantity: usage error with the range otherwise.
void check_severity(const AttackEntry& entry, const Params& params, double severity);
/// check_severity, then the entry's factory.
std::unique_ptr<Attack> make_attack(const AttackEntry& entry, const AttackContext& context);

}  // namespace temblor
