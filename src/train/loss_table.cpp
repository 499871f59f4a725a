#include "loss_table.hpp"

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {

LossSum& LossSum::operator+=(const LossSum& other) {
  loss += other.loss;
  correct += other.correct;
  return *this;
}

double Loss::penalty(const Network&, const WeightView&, std::span<Weights* const>) const {
  return 0;
}

const std::vector<LossEntry>& loss_table() {
  static const std::vector<LossEntry> table = [] {
    std::vector<LossEntry> entries = {
        {"cross-entropy", "-log softmax(logits)[label], mean over the batch", {}, make_cross_entropy},
    };
    for (const auto& entry : entries) {
      ensure(!entry.name.empty() && !entry.help.empty() && entry.make,
             "loss table entry is complete: " + entry.name);
    }
    return entries;
  }();
  return table;
}

const LossEntry& find_loss(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : loss_table()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  unknown_name("loss", name, names);
}

}  // namespace temblor
