#include "loss_table.hpp"

#include "margin_bound.hpp"

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

ParamSpec real(std::string name, std::string initial, std::string help, double least, double most) {
  return {std::move(name), ParamType::real, std::move(initial), std::move(help), "", least, most, {}};
}

}  // namespace

LossSum& LossSum::operator+=(const LossSum& other) {
  loss += other.loss;
  correct += other.correct;
  return *this;
}

std::string Loss::refuses(const Network&) const {
  return {};
}

LossSum Loss::step(Batch& batch) {
  return batch.evaluate(batch.weights());
}

double Loss::penalty(const Network&, const WeightView&, std::span<Weights* const>) const {
  return 0;
}

const std::vector<LossEntry>& loss_table() {
  static const std::vector<LossEntry> table = [] {
    std::vector<LossEntry> entries = {
        {"cross-entropy",
         "-log softmax(logits)[label], mean over the batch",
         "theory, section 9",
         {},
         "--loss cross-entropy",
         make_cross_entropy},
        {"margin-robust",
         "cross-entropy + lambda max over j != y of max(0, B^yj - f^yj) + mu (norms of the weights)",
         "after Tsai, Hsu, Yu, Chen, arXiv 2103.02200; theory, section 9",
         {margin_bound_param({"norm-product", "norm-vector", "interval", "linear"}),
          {.name = "form",
           .type = ParamType::choice,
           .initial = "hinge",
           .help = "robustness term: max(0, B - f), or the bound B alone",
           .choices = {"hinge", "bound"}},
          real("eps", "0.001", "all weights of all layers may move by this much", 0, 1e6),
          real("lambda", "0.01", "weight of the robustness term", 0, 1e6),
          real("mu", "0", "weight of the norms norm_{2,1} + norm_{1,inf} of every layer", 0, 1e6)},
         "--loss margin-robust --eps 0.001 --lambda 0.01 --mu 0.0001",
         make_margin_robust},
    };
    for (const auto& entry : entries) {
      ensure(!entry.name.empty() && !entry.help.empty() && !entry.source.empty() && !entry.example.empty() &&
                 entry.make,
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
