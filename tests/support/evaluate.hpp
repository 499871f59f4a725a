#pragma once

#include <cstdint>
#include <random>

#include <temblor/evaluate/evaluator.hpp>

/// Random small networks, data and perturbations, and a naive evaluation as the oracle.
namespace temblor::testing {

struct Maker {
  explicit Maker(std::uint64_t seed) : generator(seed) {}
  std::mt19937_64 generator;

  Index below(Index n) { return static_cast<Index>(generator() % static_cast<std::uint64_t>(n)); }
  float real() { return std::uniform_real_distribution<float>(-1, 1)(generator); }
  Matrix matrix(Index rows, Index cols);
  /// Small whole numbers: exact sums, many ties.
  Matrix whole(Index rows, Index cols);
  /// Images with about `zeros` of their values 0, labels random.
  Dataset data(Index images, Index inputs, Index classes, double zeros, bool small_whole = false);
  /// A chain of dense layers and one activation: "5-4-3", "relu".
  Network network(const std::string& arch, const std::string& activation, bool biases,
                  bool small_whole = false);
  /// At most `changes` weights of any layers: a random bit inverted, or a special value (NaN, Inf, 0, -0,
  /// unchanged).
  SparseDelta faults(const Network& network, Index changes);
};

/// The sum of two inputs: a layer with two inputs, which the tests need for graphs that are not
/// chains.
std::shared_ptr<const Layer> make_sum();

/// Logits by Network::with and forward, counts and drops straight from the definitions.
struct Naive {
  TrialCounts counts;
  std::vector<double> drop;
  std::vector<double> pair_drop;
  std::vector<std::int32_t> pair_class;
};
Naive naive(const Network& network, const Dataset& data, const std::vector<std::optional<Weights>>& layers);
/// The same for given golden and faulty logits.
Naive naive(const Matrix& golden, const Matrix& faulty, const std::vector<std::int32_t>& labels);

}  // namespace temblor::testing
