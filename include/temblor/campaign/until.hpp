#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <temblor/campaign/rates.hpp>

namespace temblor {

/// When a point has trials enough: "ci(sdc) < 0.5%", or several joined by "and". ci(RATE) is half the width
/// of the 95 % Wilson interval of a rate (of clusters for shares of images); ci(RATE, 99%) of another
/// confidence.
struct Until {
  struct Term {
    const Rate* rate;
    double confidence;
    double width;  ///< largest half width

    /// Trials before which the criterion is not looked at. Trials that nobody has seen yet may be of another
    /// kind; so many show every kind that is frequent enough to move the mean by `width`, with `confidence`:
    /// (1 - width)^n <= 1 - confidence. An event's interval allows for the unseen by itself; then 1.
    std::int64_t least_trials() const;
  };
  std::vector<Term> terms;

  /// Usage error naming `what`.
  static Until parse(const std::string& text, const std::string& what);
  std::string text() const;  ///< canonical, with confidences
  std::int64_t least_trials() const;
};

}  // namespace temblor
