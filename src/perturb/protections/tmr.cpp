#include "table.hpp"
#include "words.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/perturb/importance.hpp>

namespace temblor {
namespace {

/// Three copies of the codes of some weights, read bit by bit as the majority has it.
class Tmr : public Protection {
 public:
  explicit Tmr(const ProtectionContext& context) : codes_(&context.stored.codes), params_(context.params) {}

  ProtectionCounts apply(const Exposure& exposure, const Stream& stream,
                         Perturbation& perturbation) const final {
    ProtectionCounts counts;
    std::vector<BitAddress> votes;  // one entry a copy in which the bit is wrong
    Residual residual;
    for (const auto& fault : perturbation.faults) {
      const BitAddress at{fault.layer, fault.index, fault.bit};
      if (has_copies(at.layer, at.index)) {
        votes.push_back(at);
      } else {
        residual.flip(at);
        const auto* before = &fault == perturbation.faults.data() ? nullptr : &fault - 1;
        const bool again = before != nullptr && before->layer == at.layer && before->index == at.index;
        counts.undetected += again ? 0 : 1;
      }
    }
    add_copies(exposure, stream, votes, counts);
    std::sort(votes.begin(), votes.end());
    for (std::size_t i = 0; i < votes.size();) {
      const auto [layer, index, bit] = votes[i];
      bool wrong = false;
      while (i < votes.size() && votes[i].layer == layer && votes[i].index == index) {
        const BitAddress at = votes[i];
        int copies = 0;
        for (; i < votes.size() && votes[i] == at; ++i) ++copies;
        if (copies < 2) continue;
        wrong = true;
        residual.flip(at);
      }
      ++(wrong ? counts.miscorrected : counts.corrected);
    }
    perturbation.delta = residual.weights(*codes_);
    return counts;
  }

 protected:
  const std::vector<Encoded>& codes() const { return *codes_; }
  const Params& params() const { return params_; }

 private:
  virtual bool has_copies(std::uint32_t layer, std::uint32_t index) const = 0;
  /// How many weights of the layer have copies, and which is the n-th.
  virtual std::uint64_t copied(std::size_t layer) const = 0;
  virtual std::uint32_t copied_weight(std::size_t layer, std::uint64_t n) const = 0;

  /// Faults of the second and third copies, numbered weight by weight, bit by bit, copy by copy.
  void add_copies(const Exposure& exposure, const Stream& stream, std::vector<BitAddress>& votes,
                  ProtectionCounts& counts) const {
    const auto bits_of = [&](int layer) {
      const auto l = static_cast<std::size_t>(layer);
      return copied(l) * static_cast<std::uint64_t>((*codes_)[l].format->bits) * 2;
    };
    std::uint64_t population = 0;
    for (const int layer : exposure.layers) population += bits_of(layer);
    auto layer = exposure.layers.begin();
    std::uint64_t before = 0;
    for (const std::uint64_t position : added_faults(params_, exposure, stream, population)) {
      while (position - before >= bits_of(*layer)) before += bits_of(*layer++);
      const auto l = static_cast<std::size_t>(*layer);
      const auto bits = static_cast<std::uint64_t>((*codes_)[l].format->bits);
      const std::uint64_t within = (position - before) / 2;
      votes.push_back({static_cast<std::uint32_t>(l), copied_weight(l, within / bits),
                       static_cast<std::uint32_t>(within % bits)});
      ++counts.check_faults;
    }
  }

  const std::vector<Encoded>* codes_;
  Params params_;
};

class FullTmr final : public Tmr {
 public:
  using Tmr::Tmr;
  std::uint64_t overhead_bits() const override {
    std::uint64_t bits = 0;
    for (const auto& encoded : codes())
      bits += 2 * encoded.codes.size() * static_cast<std::uint64_t>(encoded.format->bits);
    return bits;
  }

 private:
  bool has_copies(std::uint32_t, std::uint32_t) const override { return true; }
  std::uint64_t copied(std::size_t layer) const override { return codes()[layer].codes.size(); }
  std::uint32_t copied_weight(std::size_t, std::uint64_t n) const override {
    return static_cast<std::uint32_t>(n);
  }
};

class SelectiveTmr final : public Tmr {
 public:
  explicit SelectiveTmr(const ProtectionContext& context) : Tmr(context), context_(context) {
    for (const auto& encoded : codes()) weights_ += encoded.codes.size();
    count_ =
        static_cast<std::uint64_t>(std::llround(params().real("fraction") * static_cast<double>(weights_)));
    const std::string by = params().text("by");
    if ((by == "census") != !params().text("census").empty()) {
      usage_error("protection 'tmr-selective', by=" + by,
                  by == "census" ? "no census file is named" : "a census file is named beside",
                  "as in tmr-selective:by=census:census=census.h5 (temblor census makes such a file)");
    }
    // A file that does not fit is refused before anything runs.
    if (by == "census") select();
  }

  std::uint64_t overhead_bits() const override {
    // The format is the same in all layers.
    const auto bits = static_cast<std::uint64_t>(codes().front().format->bits);
    std::uint64_t address = 0;
    while (weights_ > std::uint64_t{1} << address) ++address;
    return 2 * bits * count_ + std::min(weights_, count_ * address);
  }

 private:
  bool has_copies(std::uint32_t layer, std::uint32_t index) const override {
    const auto& chosen = selected()[layer];
    return std::binary_search(chosen.begin(), chosen.end(), index);
  }
  std::uint64_t copied(std::size_t layer) const override { return selected()[layer].size(); }
  std::uint32_t copied_weight(std::size_t layer, std::uint64_t n) const override {
    return selected()[layer][n];
  }

  /// Ascending indices of the chosen weights of each layer. Found when first asked for: gradients take time.
  const std::vector<std::vector<std::uint32_t>>& selected() const {
    std::call_once(once_, [&] { select(); });
    return selected_;
  }

  void select() const {
    if (!selected_.empty()) return;
    const std::string by = params().text("by");
    const auto scores = by == "gradient"    ? gradient_importance(context_.stored.network, context_.data)
                        : by == "magnitude" ? magnitude_importance(context_.stored.network)
                                            : context_.census(params().text("census"));
    selected_ = most_important(scores, count_);
  }

  ProtectionContext context_;
  std::uint64_t weights_ = 0;
  std::uint64_t count_ = 0;
  mutable std::once_flag once_;
  mutable std::vector<std::vector<std::uint32_t>> selected_;
};

}  // namespace

ProtectionEntry tmr_entry() {
  return {.name = "tmr",
          .help =
              "triple modular redundancy: three copies of every code, read bit by bit as the majority "
              "has it",
          .example = "tmr",
          .source = "standard practice; Lyons and Vanderkulk, IBM J. Res. Dev. 1962",
          .of = ProtectionOf::codes,
          .params = {check_bits_param()},
          .make = [](const ProtectionContext& context) -> std::unique_ptr<Protection> {
            return std::make_unique<FullTmr>(context);
          }};
}

ProtectionEntry tmr_selective_entry() {
  return {.name = "tmr-selective",
          .help =
              "triple modular redundancy for the most important weights alone; the overhead counts which "
              "they are",
          .example = "tmr-selective:fraction=0.05",
          .source = "standard practice",
          .of = ProtectionOf::codes,
          .params = {{.name = "fraction",
                      .type = ParamType::real,
                      .initial = "0.1",
                      .help = "share of all weights that have copies",
                      .least = 0,
                      .most = 1},
                     {.name = "by",
                      .type = ParamType::choice,
                      .initial = "gradient",
                      .help = "what makes a weight important: the size of the gradient of the images' mean "
                              "cross-entropy, its own size, or the images that its bit flips change (census)",
                      .choices = {"gradient", "magnitude", "census"}},
                     {.name = "census",
                      .type = ParamType::text,
                      .initial = "",
                      .help = "by=census: file by temblor census, of the same network in the same format"},
                     check_bits_param()},
          .make = [](const ProtectionContext& context) -> std::unique_ptr<Protection> {
            return std::make_unique<SelectiveTmr>(context);
          }};
}

}  // namespace temblor
