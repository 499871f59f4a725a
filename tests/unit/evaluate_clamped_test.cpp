#include <bit>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/evaluate/evaluator.hpp>
#include <temblor/perturb/activations.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Dataset images(Index count) {
  Dataset data;
  data.images = Matrix::Random(count, 8).cwiseAbs();
  for (Index n = 0; n < count; ++n) {
    data.labels.push_back(static_cast<std::int32_t>(n % 3));
    data.index.push_back(n);
  }
  return data;
}

/// Logits node by node, every activation held in its golden range, written without the block runner.
Matrix clamped_logits(const Network& network, const WeightView& weights, const Dataset& data,
                      const Golden& golden) {
  Activations activations;
  activations.outputs.resize(network.nodes().size());
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const auto& node = network.nodes()[i];
    std::vector<const Matrix*> inputs;
    for (const int input : node.inputs) inputs.push_back(&activations.of(input, data.images));
    const Weights* own = node.weights < 0 ? nullptr : weights[static_cast<std::size_t>(node.weights)];
    node.layer->forward(inputs, own, activations.outputs[i]);
    if (!node.layer->elementwise()) continue;
    const Matrix& clean = golden.activations.outputs[i];
    const float low = clean.minCoeff(), high = clean.maxCoeff();
    Matrix& outputs = activations.outputs[i];
    for (Index k = 0; k < outputs.size(); ++k) {
      float& value = outputs.data()[k];
      if (std::isnan(value) || value < low) {
        value = low;
      } else if (value > high) {
        value = high;
      }
    }
  }
  return activations.outputs.back();
}

}  // namespace

TEST_CASE("clamped activations: the logits of holding every activation in its golden range") {
  const auto network = random_network("8-16-12-3", 7, true);
  const auto data = images(300);  // more than a block
  const Evaluator evaluator(network, data);
  Evaluator::Scratch scratch(evaluator);
  const float inf = std::numeric_limits<float>::infinity();
  for (const float value : {5.0F, -40.0F, 1e30F, inf, std::nanf("")}) {
    for (std::uint32_t layer = 0; layer < 3; ++layer) {
      const Perturbation perturbation{SparseDelta{{{layer, 3, value}, {layer, 30, -value}}}};
      const auto weights = perturbed_weights(network, std::get<SparseDelta>(perturbation.delta));
      WeightView view = network.view();
      for (std::size_t l = 0; l < weights.size(); ++l) {
        if (weights[l]) view[l] = &*weights[l];
      }
      const Matrix expected = clamped_logits(network, view, data, evaluator.golden());
      for (const bool full : {false, true}) {
        TrialSamples samples;
        const auto counts = evaluator.evaluate_clamped(perturbation, full, scratch, samples);
        std::int64_t changed = 0, none = 0;
        for (Index n = 0; n < data.size(); ++n) {
          const auto prediction = predict(expected.row(n).data(), 3);
          const auto row = static_cast<std::size_t>(n);
          none += prediction < 0 ? 1 : 0;
          changed += prediction >= 0 && prediction != evaluator.golden().prediction[row] ? 1 : 0;
          const double drop =
              evaluator.golden().margin[row] - margin(expected.row(n).data(), 3, data.labels[row]);
          if (prediction >= 0) CHECK(samples.drop[row] == Approx(drop).margin(1e-5));
        }
        CHECK(counts.changed == changed);
        CHECK(counts.no_prediction == none);
        // Whatever happens in a hidden layer, the last one reads values in range.
        if (layer < 2) CHECK(counts.no_prediction == 0);
      }
      // Limits do not outlive the call.
      TrialSamples samples;
      const auto plain = evaluator.evaluate_full(perturbation, scratch, samples);
      const Matrix logits = temblor::logits(network, view, data.images);
      std::int64_t none = 0;
      for (Index n = 0; n < data.size(); ++n) none += predict(logits.row(n).data(), 3) < 0 ? 1 : 0;
      CHECK(plain.no_prediction == none);
    }
  }
}

TEST_CASE("clamped activations: what is read from a memory of activations stays in its golden range") {
  const auto data = images(60);
  const auto stored = store(random_network("8-16-12-3", 7, true), find_format("fp32"));
  // The outputs of layer 1: behind them is the last layer alone.
  const auto held = hold_activations(stored, {1}, false, data.images);
  const Evaluator evaluator(held.network, data);
  Evaluator::Scratch scratch(evaluator);
  const auto node = static_cast<std::size_t>((*held.sites)[0].node);
  const Matrix& golden = evaluator.golden().activations.outputs[node];
  ActivationFaults faults{held.sites, {}};
  Activations activations = evaluator.golden().activations;
  Stream stream(8, {});
  for (std::uint32_t n = 0; n < 60; n += 2) {
    const auto unit = static_cast<std::uint32_t>(stream.below(12));
    const auto bit = static_cast<std::uint32_t>(n % 4 == 0 ? 30 : stream.below(32));
    faults.bits.push_back({n, 0, unit, bit});
    float& value = activations.outputs[node](n, unit);
    value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) ^ 1U << bit);
    const float low = golden.minCoeff(), high = golden.maxCoeff();
    value = value >= low ? std::min(value, high) : low;
  }
  forward(held.network, held.network.view(), data.images, activations, static_cast<int>(node) + 1);
  for (const bool full : {false, true}) {
    TrialSamples samples;
    const auto counts = evaluator.evaluate_clamped({faults, {}}, full, scratch, samples);
    CHECK(counts.no_prediction == 0);
    std::int64_t changed = 0;
    for (Index n = 0; n < data.size(); ++n) {
      const float* logits = activations.outputs.back().row(n).data();
      const auto row = static_cast<std::size_t>(n);
      changed += predict(logits, 3) != evaluator.golden().prediction[row] ? 1 : 0;
      CHECK(samples.drop[row] == evaluator.golden().margin[row] - margin(logits, 3, data.labels[row]));
    }
    CHECK(counts.changed == changed);
  }
}
