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

TrialRun run_trial(const Plan& plan, std::size_t point, std::int64_t trial, const Attack& attack,
                   const Protection& protection, const Evaluator& evaluator, Evaluator::Scratch& scratch,
                   TrialSamples& samples) {
  TrialRun run;
  auto& row = run.row;
  row.point = static_cast<std::int64_t>(point);
  row.trial = trial;
  const Stream stream = trial_stream(plan, point, trial);
  auto& perturbation = run.perturbation;
  try {
    perturbation = attack.perturb(stream);
  } catch (const Error& error) {
    if (error.code() == Exit::internal) throw;
    row.outcome = Outcome::failed;
    row.drop_sum = row.drop_max = std::nan("");
    run.message = error.what();
    return run;
  }
  const auto added = attack.code_faults().value_or(CodeFaults{});
  const Exposure exposure{plan.points[point].layers, added.rate, added.nested};
  const auto met = protection.apply(exposure, stream.substream(protection_stream), perturbation);
  const auto counts = protection.clamps_activations()
                          ? evaluator.evaluate_clamped(perturbation, plan.spec.full, scratch, samples)
                      : plan.spec.full ? evaluator.evaluate_full(perturbation, scratch, samples)
                                       : evaluator.evaluate(perturbation, scratch, samples);
  const auto norms = perturbation_norms(evaluator.network(), plan.data, perturbation, counts.worst_sample);
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
  row.corrected_words = met.corrected;
  row.detected_words = met.detected;
  row.miscorrected_words = met.miscorrected;
  row.undetected_words = met.undetected;
  row.check_faults = met.check_faults;
  return run;
}

}  // namespace temblor
