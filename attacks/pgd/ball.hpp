#pragma once

#include <memory>

#include <temblor/attacks/pgd.hpp>

namespace temblor::pgd {

/// One layer's parameters on their way through the set: random start, step and projection.
class Path {
 public:
  virtual ~Path() = default;
  virtual void to_base() = 0;
  virtual void to_random(Stream& stream) = 0;
  virtual void step(const Weights& grad, double size, Direction direction) = 0;
  /// Current parameters, inside the set in exact arithmetic.
  virtual const Weights& weights() const = 0;
};

/// The path of one chosen layer in linf, relative, box or l2; usage error for other sets.
std::unique_ptr<Path> make_path(const Weights& base, const ThreatSet& set, int layer);

}  // namespace temblor::pgd
