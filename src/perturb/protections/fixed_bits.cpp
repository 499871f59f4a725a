#include "table.hpp"
#include "words.hpp"

namespace temblor {
namespace {

/// Bits that all codes of a layer share are known without the memory.
class FixedBits final : public Protection {
 public:
  explicit FixedBits(const ProtectionContext& context) : codes_(&context.stored.codes) {
    for (const auto& encoded : *codes_) {
      std::uint32_t ones = ~0U, zeros = ~0U;
      for (const auto code : encoded.codes) {
        ones &= code;
        zeros &= ~code;
      }
      fixed_.push_back(ones | zeros);
      overhead_ += 2 * static_cast<std::uint64_t>(encoded.format->bits);
    }
  }

  std::uint64_t overhead_bits() const override { return overhead_; }

  ProtectionCounts apply(const Exposure&, const Stream&, Perturbation& perturbation) const override {
    ProtectionCounts counts;
    Residual residual;
    const auto& faults = perturbation.faults;
    for (std::size_t i = 0; i < faults.size();) {
      const auto [layer, index] = std::pair{faults[i].layer, faults[i].index};
      bool wrong = false;
      for (; i < faults.size() && faults[i].layer == layer && faults[i].index == index; ++i) {
        if ((fixed_[layer] >> faults[i].bit & 1U) != 0) continue;
        residual.flip({layer, index, faults[i].bit});
        wrong = true;
      }
      ++(wrong ? counts.undetected : counts.corrected);
    }
    perturbation.delta = residual.weights(*codes_);
    return counts;
  }

  /// What it leaves are some of the flips.
  bool stays_in(const ThreatSet&) const override { return true; }

 private:
  const std::vector<Encoded>* codes_;
  std::vector<std::uint32_t> fixed_;
  std::uint64_t overhead_ = 0;
};

}  // namespace

ProtectionEntry fixed_bits_entry() {
  return {.name = "fixed-bits",
          .help =
              "a bit that is the same in all codes of a layer is read as that, whatever the memory says "
              "(the highest exponent bit of float weights below 2); two masks a layer are all it adds",
          .example = "fixed-bits",
          .source = "ours",
          .of = ProtectionOf::codes,
          .params = {},
          .make = [](const ProtectionContext& context) -> std::unique_ptr<Protection> {
            return std::make_unique<FixedBits>(context);
          }};
}

}  // namespace temblor
