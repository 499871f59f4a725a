#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <temblor/hdf5/file.hpp>
#include <temblor/perturb/faults.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {

inline constexpr const char* faults_filetype = "temblor-faults";
inline constexpr std::int32_t faults_major = 1;
inline constexpr std::int32_t faults_minor = 0;

enum class FaultKind : std::uint8_t { flip = 0, stuck_at_0 = 1, stuck_at_1 = 2 };

/// One row of a fault file.
struct MapEntry {
  BitAddress at;
  FaultKind kind = FaultKind::flip;
  double probability = 1;
  std::int64_t trial = -1;  ///< of this trial alone; -1: of every trial
};

/// What a fault file is checked against.
struct FaultMapPlace {
  const Network& network;
  const Format& format;
  const Network* original = nullptr;  ///< before it was rounded to `format`; null: not known
};

/// Faults at given bits (docs/fault-file.md). `drawn` gives those of one trial.
class FaultMap {
 public:
  /// Sorted by trial and address.
  FaultMap(std::vector<MapEntry> entries, std::optional<std::int64_t> trials);

  const std::vector<MapEntry>& entries() const { return entries_; }
  /// How many trials the file lists; empty: any number.
  std::optional<std::int64_t> trials() const { return trials_; }

  /// The addresses that are faulty in the stream's trial, sorted: every entry with probability min(1, scale *
  /// its own), independently. A stuck bit is among them where the code holds the other value. The cost
  /// follows the number of hits and the entries of that trial. Usage error for a trial the file does not
  /// list.
  std::vector<BitAddress> drawn(const Stream& stream, double scale, const std::vector<Encoded>& codes) const;

 private:
  std::vector<MapEntry> entries_;
  std::optional<std::int64_t> trials_;
  std::vector<std::vector<std::uint32_t>> groups_;  ///< [k]: entries of every trial, p in (2^-k-1, 2^-k]
};

/// Reads and checks a fault file. Bad-input errors name the file, the row (from 0), the reason and the cure.
FaultMap read_fault_map(const std::string& path, const FaultMapPlace& place);

/// The faults of chosen trials, as columns.
struct FaultList {
  std::vector<std::int64_t> trial;
  std::vector<std::uint32_t> layer, index;
  std::vector<std::uint8_t> bit;
  std::vector<std::uint32_t> before, after;

  void add(std::int64_t of_trial, const BitFault& fault);
};

/// Writes columns and root attributes; the file reads back as the same flips, each of its own trial, `trials`
/// trials in all.
void write_fault_list(const hdf5::File& file, const FaultList& list, const std::string& format,
                      const std::string& network_id, std::int64_t trials);

}  // namespace temblor
