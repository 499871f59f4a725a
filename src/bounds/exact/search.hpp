#pragma once

#include "member.hpp"
#include "relaxation.hpp"

#include <chrono>
#include <limits>
#include <vector>

namespace temblor::exact {

struct SearchOptions {
  double gap = 1e-6;  ///< the search ends when limit and member differ by less than gap (1 + drop)
  Index nodes = 100000;
  double seconds = 0;  ///< 0: no limit
  /// Nothing below this margin is of interest: nodes above it are closed.
  double enough = std::numeric_limits<double>::infinity();
};

/// What a search found about the lowest pair margin of the box.
struct Found {
  std::vector<double> lower;  ///< by reading: no member's margin is lower
  double upper;               ///< margin of `slack`, in double
  std::vector<VectorD> slack;
  Index nodes = 0;
  bool closed = true;  ///< within the gap
};

/// Branch and bound on the signs of unstable units. `lp` holds relaxation.programs().front(); costs and
/// constants by reading: the margin is cost^T x + constant. Nodes with the lowest limit first, children
/// before all others.
class Search {
 public:
  Search(const Relaxation& relaxation, BoxedLp& lp, Members& members, std::size_t base, double drop_from,
         const SearchOptions& options);
  /// `known`: lower limits of the margin, by reading. `start`: slack of a member, or null.
  Found run(const std::vector<VectorD>& costs, const std::vector<double>& constants,
            const std::vector<double>& known, const std::vector<VectorD>* start);

 private:
  enum class State : char { free, off, on };
  struct Node {
    Index parent;
    Index unit;
    State state;
    std::vector<double> lower;
  };
  struct Choice {
    Index unit = -1;
    bool on_first = false;
    std::vector<std::pair<Index, State>> closed;  ///< states that one step of the dual method closes
  };
  void set(std::size_t unit, State state);
  void go_to(Index node);
  bool improve(Found& found, double constant);  ///< whether it did; then the program has moved
  void descend(Found& found, double constant);
  std::vector<VectorD> solution() const;
  Choice choose(double room);
  /// Gives node `at` the states that remain where others are closed, once their multipliers show that they
  /// are; the node that then holds them all.
  Index settle(Index at, const Choice& choice, double room, double ceiling, const std::vector<VectorD>& costs,
               const std::vector<double>& constants, Found& found);
  std::vector<double> limits(const std::vector<VectorD>& costs, const std::vector<double>& constants,
                             const VectorD& y) const;

  const Relaxation* relaxation_;
  BoxedLp* lp_;
  Members* members_;
  std::size_t base_;
  double drop_from_;
  SearchOptions options_;
  std::vector<State> state_;
  std::vector<VectorD> lower_, upper_;  ///< limits of the programs at the node at hand
  std::vector<Node> tree_;
  VectorD multipliers_;
};

}  // namespace temblor::exact
