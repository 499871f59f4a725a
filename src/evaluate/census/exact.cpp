#include "exact.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace temblor::census {

void Reinference::begin(std::size_t stage, Index unit) {
  stage_ = stage;
  unit_ = unit;
  const auto node = static_cast<std::size_t>(chain_->stages[stage].node);
  const Weights& weights = base_.network.weights(base_.network.nodes()[node].weights);
  row_ = weights.weight.data() + unit * weights.weight.cols();
  const std::vector<Index> units(static_cast<std::size_t>(batch), unit);
  copies_.pack(weights.weight, weights.bias, units);
}

std::span<const Inferred> Reinference::run(Index image, std::span<const Variant> variants) {
  const Matrix& input = *chain_->stages[stage_].inputs;
  const RowsView row{input.data() + image * input.cols(), input.cols(), nullptr};
  sums_.clear();
  std::array<float, static_cast<std::size_t>(batch)> values{};
  for (std::size_t first = 0; first < variants.size(); first += values.size()) {
    const auto some = variants.subspan(first, std::min(values.size(), variants.size() - first));
    for (std::size_t v = 0; v < some.size(); ++v)
      copies_.set(static_cast<Index>(v), static_cast<Index>(some[v].input), some[v].after);
    copies_.multiply(row, 1, values.data(), batch);
    for (std::size_t v = 0; v < some.size(); ++v) {
      copies_.set(static_cast<Index>(v), static_cast<Index>(some[v].input), row_[some[v].input]);
      sums_.push_back({values[v], some[v].fault});
    }
  }
  // Equal sums (of little changes, most are) have equal logits. Compared as bits: NaN equals itself.
  const auto bits = [](float value) { return std::bit_cast<std::uint32_t>(value); };
  std::sort(sums_.begin(), sums_.end(), [&](const Sum& a, const Sum& b) {
    return bits(a.value) != bits(b.value) ? bits(a.value) < bits(b.value) : a.fault < b.fault;
  });
  distinct_.clear();
  for (const Sum& sum : sums_) {
    if (distinct_.empty() || bits(distinct_.back()) != bits(sum.value)) distinct_.push_back(sum.value);
  }
  outcomes_.clear();
  for (std::size_t first = 0; first < distinct_.size(); first += values.size())
    infer(image, std::span<const float>(distinct_).subspan(
                     first, std::min(values.size(), distinct_.size() - first)));
  results_.clear();
  std::size_t which = 0;
  for (const Sum& sum : sums_) {
    if (bits(distinct_[which]) != bits(sum.value)) ++which;
    results_.push_back({sum.fault, outcomes_[which].prediction, outcomes_[which].margin});
  }
  return results_;
}

void Reinference::infer(Index image, std::span<const float> sums) {
  const auto count = static_cast<Index>(sums.size());
  const std::vector<Chain::Stage>& stages = chain_->stages;
  Index widest = 0;
  for (const Chain::Stage& stage : stages) widest = std::max(widest, stage.before.rows());
  here_.resize(static_cast<std::size_t>(count * widest));
  there_.resize(here_.size());
  const Chain::Stage& own = stages[stage_];
  Index width = own.before.rows();
  const Matrix& golden = stage_ + 1 < stages.size() ? *stages[stage_ + 1].inputs : *own.outputs;
  for (Index r = 0; r < count; ++r) {
    float* to = here_.data() + r * width;
    std::copy_n(golden.data() + image * width, width, to);
    float value = sums[static_cast<std::size_t>(r)];
    if (own.activation != nullptr) own.activation->apply(&value, 1);
    to[unit_] = value;
  }
  for (std::size_t k = stage_ + 1; k < stages.size(); ++k) {
    const auto layer =
        static_cast<std::size_t>(base_.network.nodes()[static_cast<std::size_t>(stages[k].node)].weights);
    const Index next = stages[k].before.rows();
    base_.tables.packed[layer].multiply({here_.data(), width, nullptr}, count, there_.data(), next);
    if (stages[k].activation != nullptr) stages[k].activation->apply(there_.data(), count * next);
    here_.swap(there_);
    width = next;
  }
  const std::int32_t label = base_.data.labels[static_cast<std::size_t>(image)];
  for (Index r = 0; r < count; ++r) {
    const float* logits = here_.data() + r * width;
    outcomes_.push_back({0, predict(logits, width), margin(logits, width, label)});
  }
}

}  // namespace temblor::census
