#pragma once

#include <support/tiny.hpp>

namespace temblor::testing {

/// A search for the worst member of a threat set around a tiny dense chain, in long double and sharing no
/// code with the library. Members are described by one number in [-1, 1] a unit and kind of change (theory,
/// section 4b): box and row changes add s_i times what the row can reach, Frobenius changes radius ||z||_2
/// u_i with
/// ||u||_2 <= 1, moving images one number a pixel; k single weights are exchanged one by one. Coordinate
/// ascent from random starts; what it finds is reached by a member, so it is a lower limit of the truth.
class SlackSearch {
 public:
  SlackSearch(const Network& network, const ThreatSet& set, std::string activation = "relu");
  /// Largest drop found of f_label - f_other on one image.
  Real worst(const std::vector<Real>& image, std::size_t label, std::size_t other, Stream& stream,
             int restarts) const;

 private:
  struct Layer {
    ReferenceLayer base;
    std::vector<std::vector<Real>> radius{};  ///< [outputs][inputs + 1], the bias last; empty: no box
    Real frobenius = 0;
    Real row = 0;
    bool biases = false;                    ///< of the l2 balls
    std::size_t box = 0, l2 = 0, rows = 0;  ///< where their numbers begin
  };
  /// One of the k weights, and its change.
  struct Single {
    std::size_t layer = 0, row = 0, column = 0;  ///< column == inputs: the bias
    Real change = 0;
  };
  struct Member {
    std::vector<Real> s;
    std::vector<Single> singles;
  };
  Real margin(const std::vector<Real>& image, const Member& member, std::size_t label,
              std::size_t other) const;

  std::vector<Layer> layers_;
  std::vector<Single> singles_;  ///< every weight that may be one of the k, by its largest change
  std::size_t most_singles_ = 0;
  Real input_ = 0;
  std::size_t numbers_ = 0;
  std::string activation_;
};

}  // namespace temblor::testing
