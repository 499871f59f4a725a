#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/campaign/runner.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {
namespace {

/// Number of a protection's stream within its trial ("prot"): attacks count theirs from 0.
constexpr std::uint32_t protection_stream = 0x70726f74;

}  // namespace

Norms perturbation_norms(const Network& network, const Dataset& data, const Perturbation& perturbation,
                         std::int64_t sample) {
  if (const auto* sparse = std::get_if<SparseDelta>(&perturbation.delta)) return measure(network, *sparse);
  if (const auto* dense = std::get_if<DenseDelta>(&perturbation.delta))
    return measure(network, dense->layers);
  if (std::holds_alternative<ActivationFaults>(perturbation.delta)) return {};  // no weight changes
  const Matrix image = data.images.row(static_cast<Index>(sample));
  return measure(network, perturbed_weights(network, std::get<SampleDelta>(perturbation.delta),
                                            static_cast<Index>(sample), image));
}

Stream trial_stream(const Plan& plan, std::size_t point, std::int64_t trial) {
  return {plan.spec.seed, {plan.points[point].stream, static_cast<std::uint32_t>(trial), 0}};
}

namespace {

/// A trial drawn: false where the attack failed.
bool draw_trial(const Plan& plan, const TrialPlace& place, TrialRun& run) {
  auto& row = run.row;
  row.point = static_cast<std::int64_t>(place.point);
  row.trial = place.trial;
  const Stream stream = trial_stream(plan, place.point, place.trial);
  try {
    run.perturbation = place.attack->perturb(stream);
  } catch (const Error& error) {
    if (error.code() == Exit::internal) throw;
    row.outcome = Outcome::failed;
    row.drop_sum = row.drop_max = std::nan("");
    run.message = error.what();
    return false;
  }
  const auto added = place.attack->code_faults().value_or(CodeFaults{});
  const Exposure exposure{plan.points[place.point].layers, added.rate, added.nested};
  const auto met = place.protection->apply(exposure, stream.substream(protection_stream), run.perturbation);
  row.corrected_words = met.corrected;
  row.detected_words = met.detected;
  row.miscorrected_words = met.miscorrected;
  row.undetected_words = met.undetected;
  row.check_faults = met.check_faults;
  return true;
}

void fill(const Network& network, const Dataset& data, const TrialCounts& counts, TrialRun& run) {
  auto& row = run.row;
  const auto& perturbation = run.perturbation;
  const auto norms = perturbation_norms(network, data, perturbation, counts.worst_sample);
  row.outcome = Outcome::done;
  run.per_sample = std::holds_alternative<SampleDelta>(perturbation.delta) ||
                   std::holds_alternative<ActivationFaults>(perturbation.delta);
  row.changed_weights = norms.changed;
  row.flipped_bits = perturbation.flipped_bits();
  row.linf = norms.linf;
  row.l2 = norms.l2;
  row.relative = norms.relative;
  row.correct = counts.correct;
  row.argmax_correct = counts.argmax_correct;
  row.changed = counts.changed;
  row.changed_top5 = counts.changed_top5;
  row.broken = counts.broken;
  row.fixed = counts.fixed;
  row.no_prediction = counts.no_prediction;
  row.drop_sum = counts.drop_sum;
  row.drop_max = counts.drop_max;
  row.worst_sample = counts.worst_sample;
}

TrialCounts evaluate_alone(const Plan& plan, const TrialPlace& place, const Perturbation& perturbation,
                           const Evaluator& evaluator, Evaluator::Scratch& scratch, TrialSamples& samples) {
  if (place.protection->clamps_activations())
    return evaluator.evaluate_clamped(perturbation, plan.spec.full, scratch, samples);
  return plan.spec.full ? evaluator.evaluate_full(perturbation, scratch, samples)
                        : evaluator.evaluate(perturbation, scratch, samples);
}

}  // namespace

std::vector<TrialRun> run_trials(const Plan& plan, std::span<const TrialPlace> places,
                                 const Evaluator& evaluator, Evaluator::Scratch& scratch,
                                 std::span<TrialSamples> samples) {
  std::vector<TrialRun> runs(places.size());
  std::vector<const Perturbation*> together;
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < places.size(); ++i) {
    TrialRun& run = runs[i];
    if (!draw_trial(plan, places[i], run)) continue;
    // Sparse ones are small enough to wait for each other.
    if (!plan.spec.full && !places[i].protection->clamps_activations() &&
        std::holds_alternative<SparseDelta>(run.perturbation.delta)) {
      together.push_back(&run.perturbation);
      waiting.push_back(i);
      continue;
    }
    const auto counts = evaluate_alone(plan, places[i], run.perturbation, evaluator, scratch, samples[i]);
    fill(evaluator.network(), plan.data, counts, run);
    run.perturbation = {};
  }
  // Samples of trials that wait are gathered, and go back to their places.
  std::vector<TrialSamples> own;
  for (const std::size_t i : waiting) own.push_back(std::move(samples[i]));
  const auto counts = evaluator.evaluate(together, scratch, own);
  for (std::size_t k = 0; k < waiting.size(); ++k) {
    TrialRun& run = runs[waiting[k]];
    samples[waiting[k]] = std::move(own[k]);
    fill(evaluator.network(), plan.data, counts[k], run);
    run.perturbation = {};
  }
  return runs;
}

TrialRun run_trial(const Plan& plan, std::size_t point, std::int64_t trial, const Attack& attack,
                   const Protection& protection, const Evaluator& evaluator, Evaluator::Scratch& scratch,
                   TrialSamples& samples) {
  const TrialPlace place{point, trial, &attack, &protection};
  TrialRun run;
  if (!draw_trial(plan, place, run)) return run;
  fill(evaluator.network(), plan.data,
       evaluate_alone(plan, place, run.perturbation, evaluator, scratch, samples), run);
  return run;
}

}  // namespace temblor
