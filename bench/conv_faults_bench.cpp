// Single-bit faults of convolutional networks, one at a time and several a pass, beside full inference of the
// same trials.
//
// usage: conv_faults_bench NETWORK DATASET IMAGES TRIALS [MEMORY [LAYER [FORMAT]]]
//
// NETWORK is a file (.h5), or an architecture with random weights, which goes with the dataset `noise`.
// Faults are drawn uniformly over the weights (of one layer, where it is given; -1: all) and their bits in
// FORMAT (fp32). Prints one line of JSON: processor seconds a trial, by layer and in all, of the same trials
// 32 a pass, and of full inference. The peer is bench/peer_conv_faults.py (torch), which runs this program.
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>

#include <temblor/base/arithmetic.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/memory.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/network/architecture.hpp>
#include <temblor/network/file.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/random/stream.hpp>
#include <temblor/train/trainer.hpp>

namespace {

using namespace temblor;

constexpr std::size_t together = 64;  // trials a pass

double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

SparseDelta random_flip(const StoredNetwork& stored, int only, Stream& stream) {
  const Network& network = stored.network;
  std::uint64_t total = 0;
  for (int m = 0; m < network.layers(); ++m)
    if (only < 0 || m == only) total += static_cast<std::uint64_t>(network.weights(m).weight.size());
  std::uint64_t place = stream.below(total);
  for (int m = 0;; ++m) {
    const Matrix& weight = network.weights(m).weight;
    if (only >= 0 && m != only) continue;
    if (place >= static_cast<std::uint64_t>(weight.size())) {
      place -= static_cast<std::uint64_t>(weight.size());
      continue;
    }
    const Encoded& codes = stored.codes[static_cast<std::size_t>(m)];
    const std::uint32_t code =
        codes.codes[place] ^ (1U << stream.below(static_cast<std::uint64_t>(stored.format->bits)));
    return {{{static_cast<std::uint32_t>(m), static_cast<std::uint32_t>(place), codes.decode(place, code)}}};
  }
}

Dataset load(const Network& network, const std::string& set, const std::string& images) {
  DataRequest request;
  request.set = set;
  request.select = "first:" + images;
  return load_dataset(request, network.scaling());
}

/// Random images, half of the values 0.
Dataset noise(const Network& network, Index images) {
  Stream stream(1, {});
  Dataset data;
  data.name = "noise";
  data.shape = network.input();
  data.classes = network.classes();
  data.images.resize(images, network.input().size());
  for (Index i = 0; i < data.images.size(); ++i)
    data.images.data()[i] = static_cast<float>(std::max(0.0, 2.0 * stream.uniform() - 1.0));
  for (Index n = 0; n < images; ++n) {
    data.labels.push_back(static_cast<std::int32_t>(n % network.classes()));
    data.index.push_back(n);
  }
  return data;
}

void run(int argc, char** argv) {
  const std::string name = argv[1];
  const bool file = name.ends_with(".h5");
  const Shape shape = name == "lenet5" ? Shape{{1, 28, 28}} : Shape{{3, 32, 32}};
  const StoredNetwork stored =
      store(file ? load_network(name) : initialise(make_architecture(name, {shape, 10}), 1),
            find_format(argc > 7 ? argv[7] : "fp32"));
  const Network& network = stored.network;
  const Dataset data =
      std::string(argv[2]) == "noise" ? noise(network, std::atoi(argv[3])) : load(network, argv[2], argv[3]);
  const int trials = std::atoi(argv[4]);
  const std::int64_t memory = argc > 5 ? std::atoll(argv[5]) : default_activation_memory;
  const int only = argc > 6 ? std::atoi(argv[6]) : -1;

  double start = processor_seconds();
  const Evaluator evaluator(network, data, memory);
  const double golden = processor_seconds() - start;
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  Stream stream(7, {});
  struct Row {
    int trials = 0;
    double seconds = 0;
    double affected = 0;
  };
  std::vector<Row> rows(static_cast<std::size_t>(network.layers()));
  Row all, full;
  std::vector<Perturbation> drawn;
  std::vector<TrialCounts> found;
  for (int trial = 0; trial < trials; ++trial) {
    const SparseDelta delta = random_flip(stored, only, stream);
    Row& row = rows[delta.changes.front().layer];
    // The first trial makes tables that all trials share.
    if (trial == 0) evaluator.evaluate({delta}, scratch, samples);
    start = processor_seconds();
    const TrialCounts fast = evaluator.evaluate({delta}, scratch, samples);
    const double seconds = processor_seconds() - start;
    drawn.push_back({delta});
    found.push_back(fast);
    for (Row* to : {&row, &all}) {
      ++to->trials;
      to->seconds += seconds;
      to->affected += static_cast<double>(samples.affected.size());
    }
    if (trial % std::max(1, trials / 4) != 0) continue;
    start = processor_seconds();
    const TrialCounts whole = evaluator.evaluate_full({delta}, scratch, samples);
    full.seconds += processor_seconds() - start;
    ++full.trials;
    ensure(fast.correct == whole.correct && fast.changed == whole.changed && fast.broken == whole.broken &&
               fast.fixed == whole.fixed && fast.no_prediction == whole.no_prediction,
           "counts are those of full inference");
  }
  std::vector<const Perturbation*> pass;
  std::vector<TrialSamples> each(together);
  double shared = 0;
  for (std::size_t first = 0; first < drawn.size(); first += together) {
    pass.clear();
    for (std::size_t t = first; t < std::min(first + together, drawn.size()); ++t) pass.push_back(&drawn[t]);
    start = processor_seconds();
    const auto counts = evaluator.evaluate(pass, scratch, each);
    shared += processor_seconds() - start;
    ensure(std::equal(counts.begin(), counts.end(), found.begin() + static_cast<std::ptrdiff_t>(first)),
           "counts of trials that share a pass are those of one after the other");
  }
  const auto mean = [](const Row& row) { return row.seconds / row.trials; };
  std::cout << "{\"images\": " << data.size() << ", \"correct\": " << evaluator.golden().correct
            << ", \"golden\": " << golden << ", \"full\": " << mean(full) << ", \"trial\": " << mean(all)
            << ", \"shared\": " << shared / all.trials << ", \"affected\": " << all.affected / all.trials
            << ", \"layers\": [";
  const char* between = "";
  for (std::size_t m = 0; m < rows.size(); ++m) {
    if (rows[m].trials == 0) continue;
    std::cout << between << "{\"layer\": " << m << ", \"trials\": " << rows[m].trials
              << ", \"trial\": " << mean(rows[m]) << ", \"affected\": " << rows[m].affected / rows[m].trials
              << '}';
    between = ", ";
  }
  std::cout << "]}\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::cerr << "usage: conv_faults_bench NETWORK DATASET IMAGES TRIALS [MEMORY [LAYER [FORMAT]]]\n";
    return 2;
  }
  temblor::fix_arithmetic();
  temblor::keep_memory();
  try {
    run(argc, argv);
  } catch (const temblor::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
