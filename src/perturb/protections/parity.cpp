#include "table.hpp"
#include "words.hpp"

#include <bit>

namespace temblor {
namespace {

class Parity final : public WordProtection {
 public:
  explicit Parity(const ProtectionContext& context)
      : WordProtection(context, static_cast<int>(context.params.integer("width")), 1) {}

 private:
  WordVerdict decode(std::uint64_t data, std::uint32_t check) const override {
    return {data, false, ((std::popcount(data) + std::popcount(check)) & 1) != 0};
  }
};

}  // namespace

ProtectionEntry parity_entry() {
  auto params = word_params();
  params.push_back({.name = "width",
                    .type = ParamType::integer,
                    .initial = "64",
                    .help = "data bits that share one parity bit",
                    .unit = "bits",
                    .least = 1,
                    .most = 64});
  return {.name = "parity",
          .help =
              "one parity bit a word: a word with an odd number of wrong bits is detected, and its "
              "weights are read as 0",
          .example = "parity:width=32",
          .source = "standard practice",
          .of = ProtectionOf::codes,
          .params = std::move(params),
          .make = [](const ProtectionContext& context) -> std::unique_ptr<Protection> {
            return std::make_unique<Parity>(context);
          }};
}

}  // namespace temblor
