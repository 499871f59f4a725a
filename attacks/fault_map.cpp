#include "stored_faults.hpp"
#include "table.hpp"

#include <algorithm>

#include <temblor/base/error.hpp>
#include <temblor/perturb/fault_map.hpp>

namespace temblor {
namespace {

const std::string& file_of(const AttackContext& context) {
  const auto& file = context.params.text("file");
  if (file.empty()) {
    usage_error("attack 'fault-map' without a file", "it has no faults of its own",
                "give --set file=FAULTS.h5, or file = \"FAULTS.h5\" in its [[attack]]");
  }
  return file;
}

/// Faults at the bits that a file lists, each with its probability.
class FaultMapAttack final : public StoredFaults {
 public:
  explicit FaultMapAttack(const AttackContext& context)
      : StoredFaults(context),
        what_("format=" + context.format.name + " " + context.params.canonical() + " scale"),
        map_(read_fault_map(file_of(context), {context.network, context.format, context.original})) {}

  Perturbation perturb(const Stream& stream) const override {
    auto bits = map_.drawn(stream, severity(), codes());
    std::erase_if(bits, [&](const BitAddress& at) {
      return !std::binary_search(layers().begin(), layers().end(), static_cast<int>(at.layer));
    });
    return inverted(std::move(bits));
  }

  ThreatSet threat() const override { return random_flips(what_); }

 private:
  std::string what_;
  FaultMap map_;
};

}  // namespace

AttackEntry fault_map_entry() {
  return {
      .name = "fault-map",
      .help =
          "faults at the bits a file lists (flips, stuck bits), each with its probability, or those of "
          "each trial",
      .example = "--attack fault-map --set file=faults.h5 --scale 1 --format int8 --trials 100",
      .source = "baseline; docs/fault-file.md",
      .gradient = false,
      .stored_codes = true,
      .quantity = [](const Params&) -> Quantity {
        return {.name = "scale",
                .help = "factor on every probability of the map (1 when not given)",
                .unit = "",
                .least = 0,
                .most = 1e9,
                .whole = false,
                .initial = 1.0};
      },
      .params = {{.name = "file",
                  .type = ParamType::file,
                  .initial = "",
                  .help = "fault file (HDF5): written by hand or by temblor faults; only its rows of the "
                          "chosen layers act"}},
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<FaultMapAttack>(context);
      },
  };
}

}  // namespace temblor
