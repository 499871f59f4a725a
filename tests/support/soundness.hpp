#pragma once

#include <map>
#include <string>
#include <vector>

#include <support/tiny.hpp>

#include <temblor/bounds/bound.hpp>

namespace temblor::testing {

/// A kind of threat set, by severity.
struct SetKind {
  std::string name;
  ThreatSet (*make)(const Network& network, double severity, const LayerSet& layers, bool biases);
};
/// All kinds whose members SlackSearch can describe.
const std::vector<SetKind>& set_kinds();

/// A random problem: 1 to 3 hidden layers of 1 to 6 units, 1 to 5 inputs of any sign or not, 2 to 4 classes,
/// with biases or without, a random choice of layers and a severity between 1e-3 and 1.
struct SoundnessCase {
  Tiny tiny;
  LayerSet layers;
  double severity;
  bool biases;
};
SoundnessCase soundness_case(Stream& stream, int images);

/// The bound's values [images x classes], with its default parameters but every pair worked out to the end.
MatrixD bound_values(const BoundEntry& entry, const Network& network, const Dataset& data,
                     const ThreatSet& set);
/// How much, relative to 1 + value, a bound may stop above what it would reach: the gap of `exact`.
double bound_slack(const BoundEntry& entry);

/// Holds every bound of the table against every kind of set it accepts, on that many random networks a kind:
/// no value may be below what SlackSearch reaches. Checks that bounds are tight somewhere, so that the
/// comparison has power. Returns the largest reached / value, by kind and bound.
std::map<std::string, std::map<std::string, double>> hold_all_bounds(int networks, std::uint64_t seed);

}  // namespace temblor::testing
