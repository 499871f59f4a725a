#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <temblor/campaign/plan.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/hdf5/file.hpp>

namespace temblor {

/// What one block of trials yields.
struct BlockResult {
  std::vector<TrialRow> trials;
  Margins margins;                 ///< folds over the block's trials, in their order
  double seconds = 0;              ///< wall time
  bool per_sample = false;         ///< every image has a perturbation of its own
  std::int64_t failed_trial = -1;  ///< the first that failed
  std::string message;             ///< why it did
};

/// Margins before any trial.
Margins empty_margins(std::size_t samples);

/// NAME.h5.partial: a running campaign. Created in full under another name and then renamed; after that only
/// preallocated values are overwritten, a block's status byte last, so a killed process leaves a readable
/// file in which every block is either whole or missing. One thread at a time.
class PartialFile {
 public:
  /// Takes all the disk space that running will need.
  static PartialFile create(const std::string& path, const Plan& plan);
  /// Bad-input error when it is no such file; usage error naming the difference when it belongs to another
  /// campaign.
  static PartialFile open(const std::string& path, const Plan& plan);

  const std::vector<std::uint8_t>& status() const { return status_; }  ///< [blocks], 1 when written
  void write(std::size_t block, const BlockResult& result);
  BlockResult read(std::size_t block) const;
  std::vector<TrialRow> read_trials(std::size_t block) const;  ///< only these

  std::string started() const;  ///< UTC time of creation
  std::string version() const;  ///< of the program that created it
  std::int64_t resumed() const { return resumed_; }
  void close() const { file_.close(); }

 private:
  PartialFile(hdf5::File file, const Plan& plan) : file_(std::move(file)), plan_(&plan) {}

  hdf5::File file_;
  const Plan* plan_;
  std::vector<std::uint8_t> status_;
  std::int64_t resumed_ = 0;
};

/// "0.1.0 (git description)"
std::string program_version();
/// "2026-03-14T09:26:53Z"
std::string utc_now();

}  // namespace temblor
