#include "table.hpp"

namespace temblor {
namespace {

class None final : public Protection {
 public:
  std::uint64_t overhead_bits() const override { return 0; }
  ProtectionCounts apply(const Exposure&, const Stream&, Perturbation&) const override { return {}; }
  bool stays_in(const ThreatSet&) const override { return true; }
};

}  // namespace

ProtectionEntry none_entry() {
  return {.name = "none",
          .help = "no protection: faults are used as they are",
          .example = "none",
          .source = "baseline",
          .of = ProtectionOf::nothing,
          .params = {},
          .make = [](const ProtectionContext&) -> std::unique_ptr<Protection> {
            return std::make_unique<None>();
          }};
}

}  // namespace temblor
