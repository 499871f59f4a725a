#include "table.hpp"
#include "words.hpp"

#include <temblor/perturb/secded.hpp>

namespace temblor {
namespace {

class SecdedProtection final : public WordProtection {
 public:
  SecdedProtection(const ProtectionContext& context, int data_bits)
      : WordProtection(context, data_bits, Secded(data_bits).check_bits()), code_(data_bits) {}

 private:
  WordVerdict decode(std::uint64_t data, std::uint32_t check) const override {
    const auto decoded = code_.decode(data, check);
    return {decoded.data, decoded.corrected, decoded.detected};
  }

  Secded code_;
};

ProtectionEntry entry(const std::string& name, const std::string& words) {
  return {.name = name,
          .help = "error-correcting memory: " + words +
                  "; one wrong bit of a word is repaired, two are detected, more may be repaired wrongly",
          .example = name,
          .source = "Hsiao, IBM J. Res. Dev. 1970",
          .of = ProtectionOf::codes,
          .params = word_params(),
          .make = nullptr};
}

}  // namespace

ProtectionEntry secded_72_64_entry() {
  auto made = entry("secded-72-64", "8 check bits for every 64 data bits");
  made.make = [](const ProtectionContext& context) -> std::unique_ptr<Protection> {
    return std::make_unique<SecdedProtection>(context, 64);
  };
  return made;
}

ProtectionEntry secded_39_32_entry() {
  auto made = entry("secded-39-32", "7 check bits for every 32 data bits");
  made.make = [](const ProtectionContext& context) -> std::unique_ptr<Protection> {
    return std::make_unique<SecdedProtection>(context, 32);
  };
  return made;
}

}  // namespace temblor
