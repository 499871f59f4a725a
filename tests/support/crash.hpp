#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <support/paths.hpp>

namespace temblor::testing {

/// A campaign that takes a fraction of a second, run by the real program.
class CrashCampaign {
 public:
  /// `options` are added to its command line.
  explicit CrashCampaign(std::vector<std::string> options = {});
  std::vector<std::string> words(const std::string& output, int threads = 2) const;
  std::string file(const std::string& name) const { return directory_.file(name); }
  const std::string& directory() const { return directory_.path(); }
  const std::string& expected() const { return expected_; }  ///< digest of the uninterrupted result
  double seconds() const { return seconds_; }                ///< what the uninterrupted run took

  /// Kills the program at `kills` random instants, resuming in between, and starts anew when it was faster.
  /// Checks after every kill that no saved block is lost, and the digest of every finished file.
  void kill_at_random(int kills, std::uint64_t seed) const;

 private:
  TemporaryDirectory directory_;
  std::vector<std::string> options_;
  std::string network_, expected_;
  double seconds_ = 0;
};

void sleep_seconds(double seconds);

}  // namespace temblor::testing
