// progressive-bit-search on int8 codes (symmetric, per layer) of a 784-128-64-32-10 network trained on
// Fashion-MNIST: flips until 11 % accuracy on its 10,000 test images, and processor time of an iteration, on
// batches of 128 images. `pbs_bench TRIALS NETWORK IMAGES` writes the stored network and the images (HDF5)
// for the peer, bench/peer_pbs.py, which runs this program, and prints JSON.
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>

#include <temblor/attacks/flip_search.hpp>
#include <temblor/base/arithmetic.hpp>
#include <temblor/base/memory.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/perturb/faults.hpp>
#include <temblor/train/trainer.hpp>

namespace {

using namespace temblor;

constexpr int flips = 60;
constexpr double goal = 0.11;

Network trained() {
  const Dataset data = load_dataset({"fashion-mnist", Split::train}, {});
  TrainingPlan plan;
  plan.loss_params = Params("loss", find_loss(plan.loss).params, {});
  plan.optimizer_params = Params("optimiser", find_optimizer(plan.optimizer).params, {});
  plan.schedule_params = Params("schedule", find_schedule(plan.schedule).params, {});
  Trainer trainer(initialise(multilayer_perceptron("784-128-64-32-10", "relu", true, {}, {{784}}), 1), data,
                  plan);
  while (!trainer.finished()) trainer.step();
  return trainer.network();
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

using Given = std::map<std::string, std::string>;

struct Setting {
  std::string candidates, cap;
};
const std::vector<Setting> settings = {{"1", "0"}, {"16", "0"}, {"4", "10"}, {"16", "10"}, {"64", "10"}};

FlipLog searched(const Attack& attack) {
  return dynamic_cast<const FlipSearch&>(attack).search(Stream(1, {}));
}

struct Bench {
  StoredNetwork stored;
  Dataset test;
  Evaluator evaluator;
  Evaluator::Scratch scratch;

  explicit Bench(const Network& network)
      : stored(store(network, find_format("int8"))),
        test(load_dataset({"fashion-mnist", Split::test}, {})),
        evaluator(stored.network, test),
        scratch(evaluator) {}

  std::unique_ptr<Attack> attack(const std::string& name, const Dataset& data, double severity,
                                 const Given& given) const {
    const auto& entry = find_attack(name);
    return make_attack(entry, {stored.network, data, *stored.format, parse_layers("all", stored.network),
                               severity, Params(name, entry.params, given), &stored});
  }

  double accuracy(const Perturbation& perturbation) {
    TrialSamples samples;
    const auto counts = evaluator.evaluate(perturbation, scratch, samples);
    return static_cast<double>(counts.correct) / static_cast<double>(test.size());
  }
};

/// Flips until the accuracy on the whole test set is at most the goal; -1 when it never is.
int flips_to_goal(Bench& bench, const FlipLog& log) {
  std::vector<BitAddress> bits;
  for (const auto& [flip, effect] : log.steps) {
    bits.push_back({flip.layer, flip.index, flip.bit});
    auto sorted = bits;
    std::sort(sorted.begin(), sorted.end());
    const auto& codes = bench.stored.codes;
    if (bench.accuracy(with_faults(codes, flips_of(codes, sorted))) <= goal)
      return static_cast<int>(bits.size());
  }
  return -1;
}

template <class Values>
std::string list(const Values& values) {
  std::string text;
  for (const auto value : values) text += (text.empty() ? "[" : ", ") + std::to_string(value);
  return text + "]";
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    std::cerr << "usage: pbs_bench TRIALS NETWORK IMAGES\n";
    return 2;
  }
  fix_arithmetic();
  keep_memory();
  const Network network = trained();
  Bench bench(network);
  save_network(quantise(network, *bench.stored.format, parse_layers("all", network)), words[2]);
  const auto file = hdf5::File::create(words[3]);
  const auto& images = bench.test.images;
  const auto rows = static_cast<std::size_t>(images.rows());
  const auto cols = static_cast<std::size_t>(images.cols());
  file.write<float>("images", std::span<const float>(images.data(), rows * cols), {rows, cols});
  file.write<std::int32_t>("labels", std::span<const std::int32_t>(bench.test.labels), {rows});
  file.close();

  std::cout << "{\"accuracy\": " << bench.accuracy({SparseDelta{}, {}}) << ", \"random\": [";
  const auto random = bench.attack("bit-flip", bench.test, 100, {{"mode", "count"}});
  for (std::uint32_t trial = 0; trial < 20; ++trial)
    std::cout << (trial == 0 ? "" : ", ") << bench.accuracy(random->perturb(Stream(1, {0, trial, 0})));
  std::cout << "], \"trials\": [";
  for (int trial = 0; trial < std::atoi(words[1]); ++trial) {
    const auto batch =
        load_dataset({"fashion-mnist", Split::test, {}, "random:128:" + std::to_string(trial)}, {});
    std::cout << (trial == 0 ? "" : ", ") << "{\"rows\": " << list(batch.index) << ", \"settings\": {";
    for (const auto& [candidates, cap] : settings) {
      const Given given{{"candidates", candidates}, {"cap", cap}};
      double begin = processor_seconds();
      const auto attack = bench.attack("progressive-bit-search", batch, flips, given);
      const double make = processor_seconds() - begin;
      const int needed = flips_to_goal(bench, searched(*attack));
      const auto timed = bench.attack("progressive-bit-search", batch, needed < 0 ? flips : needed, given);
      begin = processor_seconds();
      const auto log = searched(*timed);
      const double each = (processor_seconds() - begin) / static_cast<double>(log.steps.size());
      std::cout << (candidates == settings[0].candidates && cap == settings[0].cap ? "" : ", ")
                << "\"candidates=" << candidates << " cap=" << cap << "\": {\"to_goal\": " << needed
                << ", \"make\": " << 1e3 * make << ", \"iteration\": " << 1e3 * each << "}";
    }
    std::cout << "}}";
  }
  std::cout << "]}\n";
}
