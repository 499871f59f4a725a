#pragma once

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include <temblor/campaign/partial_file.hpp>
#include <temblor/campaign/plan.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {

struct RunOptions {
  int threads = 0;                                             ///< 0: all processors
  std::ostream* words = nullptr;                               ///< notes to people, or null
  std::ostream* progress = nullptr;                            ///< a terminal, or null
  std::string command_line{};                                  ///< for /provenance
  std::int64_t activation_memory = default_activation_memory;  ///< of all evaluators together
};

enum class RunState {
  finished,    ///< the result file is complete
  already,     ///< it was complete before, nothing was done
  interrupted  ///< stopped on request; the same command goes on
};

struct RunReport {
  RunState state = RunState::finished;
  std::size_t blocks_done = 0;  ///< or not needed (Plan::until)
  std::size_t blocks = 0;
};

/// Runs what is missing of a campaign and writes `output`: running trials go to `output`.partial, see
/// PartialFile. At the end blocks are folded in index order, bounds are computed and compared, the result is
/// written under another name, synced and renamed. Every dataset outside /provenance and /timing depends on
/// the plan alone. Errors: another campaign's file in the way, another process at work, a full disk (what is
/// done stays in `output`.partial).
RunReport run_campaign(const Plan& plan, const std::string& output, const RunOptions& options);

/// One trial, drawn and evaluated.
struct TrialRun {
  TrialRow row;
  bool per_sample = false;  ///< a perturbation of its own for every image
  std::string message;      ///< why the trial failed
  Perturbation perturbation;
};

/// The random numbers of one trial's attack.
Stream trial_stream(const Plan& plan, std::size_t point, std::int64_t trial);
/// Draws and evaluates one trial: the attack's perturbation, then what the protection leaves of it. A
/// temblor::Error of the attack that is not internal makes a failed trial; `samples` is then left alone.
TrialRun run_trial(const Plan& plan, std::size_t point, std::int64_t trial, const Attack& attack,
                   const Protection& protection, const Evaluator& evaluator, Evaluator::Scratch& scratch,
                   TrialSamples& samples);

/// One trial to run.
struct TrialPlace {
  std::size_t point;
  std::int64_t trial;
  const Attack* attack;
  const Protection* protection;
};

/// The same for several trials of points with one evaluator, which may share passes over the images: the same
/// results as one by one, but for the perturbations, which are left out: of those that are not sparse only
/// one is held at a time. One entry of `samples` a trial.
std::vector<TrialRun> run_trials(const Plan& plan, std::span<const TrialPlace> places,
                                 const Evaluator& evaluator, Evaluator::Scratch& scratch,
                                 std::span<TrialSamples> samples);
/// Size of a perturbation; for per-sample ones the size of what image `sample` sees.
Norms perturbation_norms(const Network& network, const Dataset& data, const Perturbation& perturbation,
                         std::int64_t sample);

/// Folds the blocks that count of a complete partial file into the result file `path`, with bounds and
/// checks. Returns false when a stop was asked for meanwhile.
bool compact(const Plan& plan, const PartialFile& partial, const std::string& path,
             const RunOptions& options);

}  // namespace temblor
