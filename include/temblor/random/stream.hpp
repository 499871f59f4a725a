#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace temblor {

/// Where in a campaign a stream belongs. Two streams differ in at least one of these or in the seed.
struct StreamId {
  std::uint32_t point = 0;   ///< index of the campaign's point
  std::uint32_t trial = 0;   ///< index of the trial within its point
  std::uint32_t stream = 0;  ///< named use within a trial (0 is the attack's own)
};

/// A counter-based random stream: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011) with key = seed and
/// counter = (draw, stream, trial, point). The promise: same seed, same id, same numbers, for ever, on every
/// machine, whatever else was drawn elsewhere. A stream holds 2^34 words; drawing more is an internal error.
class Stream {
 public:
  Stream(std::uint64_t seed, StreamId id);

  /// A stream of the same seed, point and trial with another `stream` number.
  Stream substream(std::uint32_t stream) const;
  /// The stream of the same seed and trial that all points share, under a point number no campaign reaches.
  Stream across_points() const;
  StreamId id() const { return id_; }

  std::uint32_t word();                  ///< uniform over all 32-bit words
  std::uint64_t word64();                ///< two words, low first
  double uniform();                      ///< uniform on the open interval (0, 1), 53 bits: (k + 1/2) 2^-53
  double normal();                       ///< standard normal, Box-Muller, two uniforms a value
  std::uint64_t below(std::uint64_t n);  ///< uniform on {0..n-1}, unbiased (rejection); n >= 1

 private:
  void refill();

  std::uint64_t seed_;
  StreamId id_;
  std::uint64_t draw_ = 0;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

/// k distinct values from {0..n-1}, every set equally likely (Floyd's algorithm), returned sorted. k <= n.
std::vector<std::uint64_t> choose_distinct(Stream& stream, std::uint64_t n, std::uint64_t k);

/// Each of {0..n-1} independently with probability p, sorted. Cost follows the number of hits (geometric
/// skips). p in [0, 1].
std::vector<std::uint64_t> choose_each(Stream& stream, std::uint64_t n, double p);

/// One of {0..n-1} with its hash below p.
struct Arrival {
  std::uint64_t position;
  double hash;         ///< uniform on (0, 1) over all positions, independently
  std::uint64_t mark;  ///< 64 bits that belong to the position, independent of everything else
};

/// Those of {0..n-1} whose hash is at most p, sorted by position: the same stream gives the same hashes and
/// marks whatever p is, so that the positions at p' <= p are a subset of those at p. For each p the law is
/// that of choose_each. Cost follows the number of hits: hashes are drawn in rising order, as the order
/// statistics of n uniform numbers, their positions as a random permutation that is made as far as needed.
std::vector<Arrival> choose_nested(Stream stream, std::uint64_t n, double p);

/// A random order of {0..n-1} (Fisher-Yates).
std::vector<std::uint32_t> permutation(Stream& stream, std::uint32_t n);

}  // namespace temblor
