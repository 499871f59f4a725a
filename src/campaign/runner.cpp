#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <filesystem>
#include <iomanip>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <thread>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <temblor/base/error.hpp>
#include <temblor/campaign/file_lock.hpp>
#include <temblor/campaign/fold.hpp>
#include <temblor/campaign/interrupt.hpp>
#include <temblor/campaign/runner.hpp>
#include <temblor/campaign/stops.hpp>

namespace temblor {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// One line on a terminal: blocks done, trials a second, time left.
class Progress {
 public:
  Progress(std::ostream* out, std::int64_t trials, std::size_t blocks)
      : out_(out), trials_(trials), blocks_(blocks) {}
  ~Progress() {
    if (shown_) *out_ << "\r\033[K" << std::flush;
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Work that turned out not to be needed.
  void drop(std::int64_t trials) {
    trials_ -= trials;
    --blocks_;
  }

  void add(std::int64_t trials) {
    done_ += trials;
    ++blocks_done_;
    const double now = seconds_since(start_);
    if (out_ == nullptr || (shown_ && now - last_ < 0.1)) return;
    shown_ = true;
    last_ = now;
    const double rate = static_cast<double>(done_) / now;
    const auto left = static_cast<std::int64_t>(static_cast<double>(trials_ - done_) / rate);
    *out_ << "\r" << blocks_done_ << "/" << blocks_ << " blocks, " << std::setprecision(3) << rate
          << " trials/s, " << left / 60 << ":" << std::setw(2) << std::setfill('0') << left % 60
          << std::setfill(' ') << " left\033[K" << std::flush;
  }

 private:
  std::ostream* out_;
  std::int64_t trials_;
  std::size_t blocks_;
  std::int64_t done_ = 0;
  std::size_t blocks_done_ = 0;
  Clock::time_point start_ = Clock::now();
  double last_ = 0;
  bool shown_ = false;
};

/// Trials of a pass at most, and seconds that an interruption waits for them, about.
constexpr std::int64_t most_together = 64;
constexpr double most_seconds = 60;

/// Blocks on any number of workers; one writes at a time.
class Runner {
 public:
  Runner(const Plan& plan, PartialFile& partial, Stops& stops, const RunOptions& options)
      : plan_(plan),
        partial_(partial),
        stops_(stops),
        activation_memory_(options.activation_memory),
        evaluators_(plan.bases.size()),
        points_(plan.points.size()) {
    std::int64_t trials = 0;
    for (std::size_t i = 0; i < plan.blocks.size(); ++i) {
      if (partial.status()[i] != 0 || !stops.needed(i)) continue;
      pending_.push_back(i);
      ++points_[plan.blocks[i].point].left;
      trials += plan.blocks[i].count;
    }
    progress_.emplace(options.progress, trials, pending_.size());
  }

  void run(int threads) {
    oneapi::tbb::task_group group;
    const auto workers = std::min<std::size_t>(static_cast<std::size_t>(threads), pending_.size());
    workers_ = static_cast<std::int64_t>(workers);
    for (std::size_t w = 0; w < workers; ++w) {
      group.run([this] { work(); });
    }
    group.wait();
    progress_.reset();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  struct PointState {
    std::mutex mutex;
    std::unique_ptr<Attack> attack;
    std::size_t left = 0;  ///< blocks to run
  };

  /// What one worker keeps from trial to trial.
  struct Worker {
    std::vector<TrialSamples> samples;
    std::optional<Evaluator::Scratch> scratch;
    std::size_t base = 0;        ///< of the scratch
    double seconds_a_trial = 0;  ///< of the last trials; 0: none yet
  };

  void work() {
    Worker worker;
    while (!stop_ && !InterruptGuard::requested()) {
      bool some = true;
      try {
        // A worker that waits inside must not pick up another worker's loop.
        oneapi::tbb::this_task_arena::isolate([&] {
          const auto taken = take(worker.seconds_a_trial);
          some = !taken.empty();
          run_blocks(taken, worker);
        });
      } catch (...) {
        const std::lock_guard lock(write_);
        if (!error_) error_ = std::current_exception();
        stop_ = true;
      }
      if (!some) return;
    }
  }

  /// The next blocks, of one base: more than one where few trials are in a block, trials that run together
  /// save work, and they take no time that an interruption should not wait for. Results do not depend on it.
  std::vector<std::size_t> take(double seconds_a_trial) {
    const std::lock_guard lock(take_);
    std::vector<std::size_t> taken;
    if (next_ >= pending_.size()) return taken;
    const auto base_of = [&](std::size_t i) { return plan_.points[plan_.blocks[pending_[i]].point].base; };
    const auto base = base_of(next_);
    const auto left = static_cast<std::int64_t>(pending_.size() - next_);
    const auto fair = std::max<std::int64_t>(1, left / workers_);  // blocks: others want some, too
    std::int64_t trials = 0;
    for (std::int64_t blocks = 0; blocks < fair && next_ < pending_.size(); ++blocks) {
      const auto& block = plan_.blocks[pending_[next_]];
      trials += block.count;
      const bool more = evaluator(base).shares() && trials <= most_together &&
                        seconds_a_trial * static_cast<double>(trials) <= most_seconds;
      if (!taken.empty() && (base_of(next_) != base || !more)) break;
      taken.push_back(pending_[next_++]);
      if (seconds_a_trial == 0) break;  // how long trials take is not known yet
    }
    return taken;
  }

  void run_blocks(const std::vector<std::size_t>& taken, Worker& worker) {
    std::vector<std::size_t> blocks;
    for (const std::size_t i : taken) {
      if (needed(i)) {
        blocks.push_back(i);
      } else {
        drop(plan_.blocks[i]);
      }
    }
    if (blocks.empty()) return;
    const auto base = plan_.points[plan_.blocks[blocks.front()].point].base;
    const auto& evaluator = this->evaluator(base);
    if (!worker.scratch || worker.base != base) worker.scratch.emplace(evaluator);
    worker.base = base;
    const auto results = run_trials_of(blocks, evaluator, worker);
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      const std::lock_guard lock(write_);
      if (stop_) return;
      if (stops_.needed(blocks[b])) {
        partial_.write(blocks[b], results[b]);
        stops_.written(blocks[b], results[b].trials);
      }
      progress_->add(plan_.blocks[blocks[b]].count);
    }
  }

  bool needed(std::size_t block) {
    const std::lock_guard lock(write_);
    return stops_.needed(block);
  }

  /// A block that its point can do without.
  void drop(const TrialBlock& block) {
    {
      const std::lock_guard lock(write_);
      progress_->drop(block.count);
    }
    finish_block(points_[block.point]);
  }

  static void finish_block(PointState& state) {
    const std::lock_guard lock(state.mutex);
    if (--state.left == 0) state.attack.reset();
  }

  const Evaluator& evaluator(std::size_t base) {
    const std::lock_guard lock(evaluators_mutex_);
    auto& slot = evaluators_[base];
    if (!slot) {
      const auto bases = static_cast<std::int64_t>(plan_.bases.size());
      slot = std::make_unique<Evaluator>(plan_.bases[base].network, plan_.data, activation_memory_ / bases);
    }
    return *slot;
  }

  /// One of a kind for all points: finding the most important weights takes time.
  const Protection& protection(const Point& point) {
    const std::lock_guard lock(evaluators_mutex_);
    auto& slot = protections_[{point.base, point.protection.text()}];
    if (!slot) slot = plan_.protection(point);
    return *slot;
  }

  const Attack& attack(std::size_t point) {
    auto& state = points_[point];
    const std::lock_guard lock(state.mutex);
    if (!state.attack)
      state.attack = make_attack(*plan_.points[point].attack, plan_.context(plan_.points[point]));
    return *state.attack;
  }

  std::vector<BlockResult> run_trials_of(const std::vector<std::size_t>& blocks, const Evaluator& evaluator,
                                         Worker& worker) {
    std::vector<BlockResult> results;
    std::vector<TrialPlace> places;
    std::vector<std::size_t> of;  // block of each trial
    for (const std::size_t i : blocks) {
      const TrialBlock& block = plan_.blocks[i];
      results.emplace_back().margins = empty_margins(static_cast<std::size_t>(plan_.data.size()));
      const Attack& attack = this->attack(block.point);
      const Protection& protection = this->protection(plan_.points[block.point]);
      for (std::int64_t trial = block.first; trial < block.first + block.count; ++trial) {
        places.push_back({block.point, trial, &attack, &protection});
        of.push_back(results.size() - 1);
      }
    }
    const auto together = evaluator.shares() ? static_cast<std::size_t>(most_together) : std::size_t{1};
    for (std::size_t first = 0; first < places.size(); first += together) {
      const auto start = Clock::now();
      const std::span<const TrialPlace> some{places.data() + first,
                                             std::min(together, places.size() - first)};
      if (worker.samples.size() < some.size()) worker.samples.resize(some.size());
      const auto runs = run_trials(plan_, some, evaluator, *worker.scratch, worker.samples);
      worker.seconds_a_trial = seconds_since(start) / static_cast<double>(some.size());
      for (std::size_t t = 0; t < runs.size(); ++t) {
        BlockResult& result = results[of[first + t]];
        result.seconds += worker.seconds_a_trial;
        result.trials.push_back(runs[t].row);
        if (runs[t].row.outcome == Outcome::done) {
          result.per_sample = runs[t].per_sample;
          fold_trial(worker.samples[t], some[t].trial, result.margins);
        } else if (result.failed_trial < 0) {
          result.failed_trial = some[t].trial;
          result.message = runs[t].message;
        }
      }
    }
    for (const std::size_t i : blocks) finish_block(points_[plan_.blocks[i].point]);
    return results;
  }

  const Plan& plan_;
  PartialFile& partial_;
  Stops& stops_;
  std::int64_t activation_memory_;  ///< of all evaluators together
  std::vector<std::size_t> pending_;
  std::mutex evaluators_mutex_;
  std::vector<std::unique_ptr<Evaluator>> evaluators_;
  std::map<std::pair<std::size_t, std::string>, std::unique_ptr<Protection>> protections_;
  std::vector<PointState> points_;
  std::mutex write_;
  std::optional<Progress> progress_;
  std::exception_ptr error_;
  std::mutex take_;
  std::size_t next_ = 0;  ///< of pending_
  std::int64_t workers_ = 1;
  std::atomic<bool> stop_{false};
};

/// Whether `output` is this campaign's finished file; usage error when it is anything else.
bool finished(const Plan& plan, const std::string& output) {
  if (!std::filesystem::exists(output)) return false;
  const auto refuse = [&](const std::string& why) {
    usage_error("'" + output + "' exists and is not this campaign's result", why,
                "choose another -o, or move the file away");
  };
  hdf5::File file = [&] {
    try {
      return hdf5::File::open(output, hdf5::File::Mode::read);
    } catch (const Error& error) {
      refuse(error.what());
      throw;
    }
  }();
  if (file.text("filetype") != result_filetype) refuse("it is another kind of file");
  if (file.text("campaign_id") == plan.id) return true;
  const auto identity = file.has("/provenance/identity") ? file.read_strings("/provenance/identity")
                                                         : std::vector<std::string>{};
  refuse(identity.size() == 1 ? difference(identity.front(), plan.identity) : "its campaign_id is another");
  return false;
}

}  // namespace

RunReport run_campaign(const Plan& plan, const std::string& output, const RunOptions& options) {
  const FileLock lock(output);
  const InterruptGuard guard;
  const std::string partial_path = output + ".partial";
  const auto blocks = plan.blocks.size();
  if (finished(plan, output)) {
    std::error_code ignored;
    std::filesystem::remove(partial_path, ignored);
    return {RunState::already, blocks, blocks};
  }
  const bool resume = std::filesystem::exists(partial_path);
  auto partial = resume ? PartialFile::open(partial_path, plan) : PartialFile::create(partial_path, plan);
  Stops stops(plan, partial);
  if (resume && options.words != nullptr) {
    *options.words << "resuming '" << partial_path << "': " << blocks - stops.blocks_left() << " of "
                   << blocks << " blocks are there\n";
    if (partial.version() != program_version()) {
      *options.words << "note: they were made by temblor " << partial.version() << ", this is "
                     << program_version() << "; if the two compute differently the file mixes them\n";
    }
  }
  const int threads = options.threads > 0
                          ? options.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism,
                                          static_cast<std::size_t>(threads));
  oneapi::tbb::task_arena arena(threads);
  bool complete = false;
  arena.execute([&] {
    Runner(plan, partial, stops, options).run(threads);
    if (stops.complete()) complete = compact(plan, partial, output, options);
  });
  const auto done = blocks - stops.blocks_left();
  partial.close();
  if (!complete) return {RunState::interrupted, done, blocks};
  std::error_code ignored;  // the result is complete: what is left over is only untidy
  std::filesystem::remove(partial_path, ignored);
  return {RunState::finished, done, blocks};
}

}  // namespace temblor
