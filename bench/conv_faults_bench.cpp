// Single-bit float32 faults of convolutional networks beside full inference of the same trials.
//
// usage: conv_faults_bench NETWORK.h5 DATASET IMAGES TRIALS [MEMORY [LAYER]]
//
// Faults are drawn uniformly over the weights (of one layer, where it is given) and their bits. Prints one
// line of JSON: processor seconds a trial, by layer and in all, and of full inference. The peer is
// bench/peer_conv_faults.py (torch), which runs this program.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <limits>

#include <temblor/base/arithmetic.hpp>
#include <temblor/base/error.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/network/file.hpp>
#include <temblor/random/stream.hpp>

namespace {

using namespace temblor;

double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

SparseDelta random_flip(const Network& network, int only, Stream& stream) {
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
    const auto bits = std::bit_cast<std::uint32_t>(weight.data()[place]) ^ (1U << stream.below(32));
    return {{{static_cast<std::uint32_t>(m), static_cast<std::uint32_t>(place), std::bit_cast<float>(bits)}}};
  }
}

void run(int argc, char** argv) {
  const Network network = load_network(argv[1]);
  DataRequest request;
  request.set = argv[2];
  request.select = "first:" + std::string(argv[3]);
  const Dataset data = load_dataset(request, network.scaling());
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
  for (int trial = 0; trial < trials; ++trial) {
    const SparseDelta delta = random_flip(network, only, stream);
    Row& row = rows[delta.changes.front().layer];
    // The first trial makes tables that all trials share.
    if (trial == 0) evaluator.evaluate({delta}, scratch, samples);
    start = processor_seconds();
    const TrialCounts fast = evaluator.evaluate({delta}, scratch, samples);
    const double seconds = processor_seconds() - start;
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
  const auto mean = [](const Row& row) { return row.seconds / row.trials; };
  std::cout << "{\"images\": " << data.size() << ", \"correct\": " << evaluator.golden().correct
            << ", \"golden\": " << golden << ", \"full\": " << mean(full) << ", \"trial\": " << mean(all)
            << ", \"affected\": " << all.affected / all.trials << ", \"layers\": [";
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
    std::cerr << "usage: conv_faults_bench NETWORK.h5 DATASET IMAGES TRIALS [MEMORY [LAYER]]\n";
    return 2;
  }
  temblor::fix_arithmetic();
  try {
    run(argc, argv);
  } catch (const temblor::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
