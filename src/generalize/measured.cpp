#include <cmath>
#include <limits>

#include <temblor/attacks/attack.hpp>
#include <temblor/base/error.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/generalize/measured.hpp>
#include <temblor/perturb/project.hpp>
#include <temblor/train/loss.hpp>

namespace temblor {
namespace {

Perturbation attacked(const Network& network, const Dataset& data, const ThreatSet& set,
                      std::map<std::string, std::string> given, const Stream& stream) {
  ensure(set.ball == Ball::linf, "the attack and the set are the same");
  const auto& entry = find_attack("weight-pgd");
  given["biases"] = set.biases ? "true" : "false";
  const Params params("attack 'weight-pgd'", entry.params, given);
  const AttackContext context{network, data, find_format("fp32"), set.layers, set.severity, params};
  return make_attack(entry, context)->perturb(stream);
}

Weights moved_at_random(const Weights& base, const Radius& radius, Stream& stream) {
  ensure(radius.weight.size() == 0 && radius.bias.size() == 0, "one radius for all weights");
  Weights after = base;
  const auto move = [&](float& w, double r) { w = moved(w, r * (2 * stream.uniform() - 1), r); };
  for (Index i = 0; i < after.weight.size(); ++i) move(after.weight.data()[i], radius.uniform);
  for (Index i = 0; i < after.bias.size(); ++i) move(after.bias(i), radius.bias_uniform);
  return after;
}

}  // namespace

Performance performance(const Network& network, const WeightView& weights, const Dataset& data) {
  const Matrix outputs = logits(network, weights, data.images, true);
  Performance result{data.size(), 0, 0};
  for (Index n = 0; n < outputs.rows(); ++n) {
    if (predict(outputs.row(n).data(), outputs.cols()) != data.labels[static_cast<std::size_t>(n)])
      ++result.wrong;
  }
  Matrix unused;
  result.loss = cross_entropy(outputs, data.labels, 0, unused).loss / static_cast<double>(data.size());
  if (!std::isfinite(result.loss)) result.loss = std::numeric_limits<double>::infinity();
  return result;
}

DenseDelta worst_for_all(const Network& network, const Dataset& train, const ThreatSet& set,
                         const AttackPlan& plan, const Stream& stream) {
  const Index batch = plan.batch >= train.size() ? 0 : plan.batch;
  const auto perturbation = attacked(
      network, train, set,
      {{"scope", "universal"}, {"steps", std::to_string(plan.steps)}, {"batch", std::to_string(batch)}},
      stream);
  return std::get<DenseDelta>(perturbation.delta);
}

Performance performance(const Network& network, const DenseDelta& delta, const Dataset& data) {
  Workspace workspace(network);
  return performance(network, workspace.apply(delta), data);
}

Performance worst_for_each(const Network& network, const Dataset& data, const ThreatSet& set,
                           const AttackPlan& plan, const Stream& stream) {
  const auto perturbation =
      attacked(network, data, set,
               {{"scope", "sample"}, {"target", "all"}, {"steps", std::to_string(plan.steps)}}, stream);
  const Evaluator evaluator(network, data);
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  const auto counts = evaluator.evaluate(perturbation, scratch, samples);
  return {data.size(), data.size() - counts.correct, std::numeric_limits<double>::quiet_NaN()};
}

std::vector<double> random_losses(const Network& network, const Dataset& data, const ThreatSet& set,
                                  std::int64_t draws, const Stream& stream) {
  std::vector<double> losses;
  for (std::int64_t k = 0; k < draws; ++k) {
    Stream own = stream.substream(static_cast<std::uint32_t>(k));
    std::vector<Weights> copies;
    copies.reserve(set.layers.size());
    WeightView view = network.view();
    for (const int layer : set.layers) {
      const auto m = static_cast<std::size_t>(layer);
      copies.push_back(moved_at_random(*view[m], *set.radius[m], own));
      view[m] = &copies.back();
    }
    losses.push_back(performance(network, view, data).loss);
  }
  return losses;
}

}  // namespace temblor
