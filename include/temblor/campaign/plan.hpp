#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <temblor/attacks/attack.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/campaign/spec.hpp>
#include <temblor/campaign/until.hpp>
#include <temblor/perturb/protection.hpp>
#include <temblor/perturb/stored.hpp>

namespace temblor {

/// A block of trials of one point: the unit of work, of writing and of resuming.
struct TrialBlock {
  std::size_t point = 0;
  std::int64_t first = 0;  ///< trial number within the point
  std::int64_t count = 0;
};

/// At most this many blocks a point, and 2048 of a campaign of more than 32 points (at least 8 a point):
/// block size is a function of the spec alone, so that per-block sums are the same whatever the threads.
inline constexpr std::int64_t most_blocks = 64;

/// One point of the grid attack x severity x layers x format x protection (the protection runs fastest).
struct Point {
  const AttackEntry* attack;
  Params params;
  Quantity quantity;
  double severity;
  LayerSet layers;
  std::size_t base;          ///< index into Plan::bases
  std::int64_t trials;       ///< the most, when the plan has `until`
  std::size_t threat;        ///< index into Plan::threats
  std::int64_t first_trial;  ///< row of /trials, when all trials are run
  double acting;             ///< the severity that the attack gets: of a voltage the rate of the table
  ProtectionChoice protection;
  /// Number of the point's random streams: counted without the protections, so that points which differ in
  /// protection alone have the same faults.
  std::uint32_t stream;
  std::uint64_t stored_bits = 0;    ///< of the network's weights in the format, scales included
  std::uint64_t overhead_bits = 0;  ///< what the protection adds to them
  std::uint64_t population = 0;     ///< Attack::population
};

/// A distinct threat set around one base.
struct Threat {
  ThreatSet set;
  std::size_t base;
};

/// Sizes of a campaign's files in bytes, without the few kilobytes of text.
struct FileSizes {
  std::uint64_t partial = 0;  ///< NAME.h5.partial while it runs
  std::uint64_t result = 0;   ///< NAME.h5 before compression
};

/// Everything a campaign does, decided before anything runs. Deterministic attacks have one trial whatever
/// the spec says.
struct Plan {
  Spec spec;
  Network network;
  Dataset data;
  std::deque<StoredNetwork> bases;  ///< the network as each number format stores it
  std::vector<Point> points;
  std::vector<Threat> threats;
  std::vector<TrialBlock> blocks;  ///< in the order point, first
  std::int64_t trials = 0;         ///< of all points
  std::optional<Until> until{};    ///< when a point has trials enough

  /// What decides the results, one line an item; its SHA-256 is the campaign's id. Places of files and the
  /// title are not part of it.
  std::string identity;
  std::string id;

  AttackContext context(const Point& point) const;
  std::unique_ptr<Protection> protection(const Point& point) const;
  std::string describe(const Point& point) const;  ///< "weight-pgd eps=0.001 layers=all format=fp32"
  FileSizes sizes() const;
};

/// Loads network and dataset and lays out the grid. Refuses what cannot run: layers or formats that do not
/// fit, weights that overflow a format, parameters an attack rejects.
Plan make_plan(const Spec& spec);

/// The first line in which two identities differ, "seed: 1 there, 2 here"; "" when they are equal.
std::string difference(const std::string& there, const std::string& here);

}  // namespace temblor
