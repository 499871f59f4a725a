#include "words.hpp"

#include "table.hpp"

#include <algorithm>
#include <tuple>

namespace temblor {

std::vector<ParamSpec> word_params() {
  return {{.name = "on-detect",
           .type = ParamType::choice,
           .initial = "zero",
           .help = "zero: every weight with a bit in a word known to be wrong is read as 0; keep: it is used "
                   "as it is",
           .choices = {"zero", "keep"}},
          check_bits_param()};
}

SparseDelta Residual::weights(const std::vector<Encoded>& codes) {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.layer, a.index) < std::tie(b.layer, b.index);
  });
  SparseDelta delta;
  for (std::size_t i = 0; i < entries_.size();) {
    const auto [layer, index, first_mask, first_zero] = entries_[i];
    std::uint32_t mask = 0;
    bool zero = false;
    for (; i < entries_.size() && entries_[i].layer == layer && entries_[i].index == index; ++i) {
      mask ^= entries_[i].mask;
      zero = zero || entries_[i].zero;
    }
    if (!zero && mask == 0) continue;
    const Encoded& encoded = codes[layer];
    delta.changes.push_back({layer, index, zero ? 0.0F : encoded.decode(index, encoded.codes[index] ^ mask)});
  }
  return delta;
}

WordProtection::WordProtection(const ProtectionContext& context, int width, int check_bits)
    : codes_(&context.stored.codes),
      words_({context.memory, context.stored.codes}, width),
      check_bits_(static_cast<std::uint64_t>(check_bits)),
      params_(context.params) {}

std::uint64_t WordProtection::overhead_bits() const {
  return words_.words() * check_bits_;
}

std::vector<WordProtection::Errors> WordProtection::errors_of(const Exposure& exposure, const Stream& stream,
                                                              const std::vector<BitFault>& faults,
                                                              ProtectionCounts& counts) const {
  std::vector<Errors> all;
  for (const auto& fault : faults) {
    const auto place = words_.place({fault.layer, fault.index, fault.bit});
    all.push_back({place.word, std::uint64_t{1} << place.bit, 0});
  }
  const auto ranges = words_.words_of(exposure.layers);
  std::uint64_t population = 0;
  for (const auto& [first, end] : ranges) population += (end - first) * check_bits_;
  auto range = ranges.begin();
  std::uint64_t before = 0;  // check bits of earlier ranges
  for (const std::uint64_t position : added_faults(params_, exposure, stream, population)) {
    for (; position - before >= (range->second - range->first) * check_bits_; ++range)
      before += (range->second - range->first) * check_bits_;
    const std::uint64_t within = position - before;
    all.push_back({range->first + within / check_bits_, 0, 1U << (within % check_bits_)});
    ++counts.check_faults;
  }
  std::sort(all.begin(), all.end(), [](const Errors& a, const Errors& b) { return a.word < b.word; });
  std::vector<Errors> words;
  for (const auto& one : all) {
    if (words.empty() || words.back().word != one.word) words.push_back({one.word, 0, 0});
    words.back().data ^= one.data;
    words.back().check ^= one.check;
  }
  return words;
}

ProtectionCounts WordProtection::apply(const Exposure& exposure, const Stream& stream,
                                       Perturbation& perturbation) const {
  const bool zero = params_.text("on-detect") == "zero";
  ProtectionCounts counts;
  Residual residual;
  for (const auto& [word, data, check] : errors_of(exposure, stream, perturbation.faults, counts)) {
    const auto verdict = decode(data, check);
    bool wrong = false;
    for (unsigned bit = 0; bit < static_cast<unsigned>(words_.width()); ++bit) {
      if (!(verdict.detected && zero) && (verdict.data >> bit & 1) == 0) continue;
      const auto at = words_.address({word, bit});
      if (!at) break;
      wrong = true;
      if (verdict.detected && zero) {
        residual.zero(at->layer, at->index);
      } else {
        residual.flip(*at);
      }
    }
    if (verdict.detected) {
      ++counts.detected;
    } else if (!wrong) {
      ++counts.corrected;
    } else if (verdict.repaired) {
      ++counts.miscorrected;
    } else {
      ++counts.undetected;
    }
  }
  perturbation.delta = residual.weights(*codes_);
  return counts;
}

}  // namespace temblor
