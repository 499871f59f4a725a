#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include <temblor/campaign/partial_file.hpp>
#include <temblor/campaign/plan.hpp>

namespace temblor {

/// Which blocks of a campaign count. The criterion is looked at after each block of a point, on the trials of
/// all blocks up to it: the first that satisfies it is the point's last. That is a function of the trials
/// alone: blocks that other threads computed beyond it are left out, in whatever order they came.
class Stops {
 public:
  /// Takes in what the partial file has.
  Stops(const Plan& plan, const PartialFile& partial);

  void written(std::size_t block, const std::vector<TrialRow>& trials);
  /// False when the point's last block is known and lies before.
  bool needed(std::size_t block) const;
  bool complete() const;                         ///< every block that counts is written
  std::size_t blocks_left() const;               ///< that may count and are not written
  std::size_t blocks(std::size_t point) const;   ///< of a complete point: how many count
  std::int64_t trials(std::size_t point) const;  ///< in them

 private:
  struct PointState {
    std::size_t first = 0;  ///< block
    std::size_t count = 0;
    std::size_t next = 0;  ///< blocks 0 .. next-1 are taken in
    bool met = false;
    std::vector<RateTally> tallies;
    std::map<std::size_t, std::vector<TrialRow>> waiting;  ///< written, but a block before is missing
  };
  bool met(const PointState& state) const;

  const Plan* plan_;
  std::vector<std::uint8_t> written_;
  std::vector<PointState> points_;
};

}  // namespace temblor
