#include <algorithm>
#include <cmath>
#include <map>

#include <catch2/catch.hpp>
#include <support/evaluate.hpp>
#include <support/networks.hpp>

#include <temblor/base/error.hpp>
#include <temblor/perturb/activations.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// The code of a value by trying every code that a fault-free value can have: the nearest one.
std::uint32_t nearest_code(const Encoded& grid, float value, std::size_t unit) {
  const Format& format = *grid.format;
  if (!format.scaled) return format.encode(format, {&value, 1}, 1, 1).codes.front();
  const std::uint32_t codes = 1U << static_cast<unsigned>(format.bits);
  std::uint32_t best = 0;
  double distance = HUGE_VAL;
  for (std::uint32_t code = 0; code < codes; ++code) {
    if (!format.quantiser.affine && code == codes / 2) continue;
    const double off =
        std::fabs(static_cast<double>(format.decode(grid, code, unit)) - static_cast<double>(value));
    if (off < distance) best = code;
    distance = std::min(distance, off);
  }
  return best;
}

/// What a network with held activations computes, node by node and value by value, from the definition.
class Reference {
 public:
  Reference(const Network& network, const Format& format, const LayerSet& layers, bool image,
            const Matrix& images)
      : network_(network), images_(images) {
    for (const int layer : layers) {
      int node = network.node_of(layer);
      const int next = node + 1;
      if (next < static_cast<int>(network.nodes().size()) &&
          network.nodes()[static_cast<std::size_t>(next)].layer->elementwise()) {
        node = next;
      }
      at_[node] = at_.size() + (image ? 1 : 0);
    }
    if (image) at_[-1] = 0;
    for (const auto& [node, site] : at_) grids_[site] = Encoded{&format, 0, 1, {}, {}, {}};
    golden_ = run({}, true);
  }

  const Matrix& golden() const { return golden_; }
  Matrix faulty(const ActivationFaults& faults) { return run(faults.bits, false); }

 private:
  /// Logits; `calibrate` takes scales from the values as they come.
  Matrix run(const std::vector<ActivationBit>& bits, bool calibrate) {
    std::vector<Matrix> outputs(network_.nodes().size());
    Matrix seen = images_;
    hold(-1, seen, bits, calibrate);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const auto& node = network_.nodes()[i];
      std::vector<const Matrix*> inputs;
      for (const int input : node.inputs)
        inputs.push_back(input < 0 ? &seen : &outputs[static_cast<std::size_t>(input)]);
      node.layer->forward(inputs, node.weights < 0 ? nullptr : &network_.weights(node.weights), outputs[i]);
      hold(static_cast<int>(i), outputs[i], bits, calibrate);
    }
    return outputs.back();
  }

  void hold(int node, Matrix& values, const std::vector<ActivationBit>& bits, bool calibrate) {
    const auto found = at_.find(node);
    if (found == at_.end()) return;
    const auto site = found->second;
    Encoded& grid = grids_[site];
    const Format& format = *grid.format;
    if (calibrate) {
      const Matrix units = values.transpose();
      grid = format.encode(format, {units.data(), static_cast<std::size_t>(units.size())},
                           static_cast<std::size_t>(units.rows()), static_cast<std::size_t>(units.cols()));
    }
    for (Index n = 0; n < values.rows(); ++n) {
      for (Index u = 0; u < values.cols(); ++u) {
        std::uint32_t code = nearest_code(grid, values(n, u), static_cast<std::size_t>(u));
        for (const auto& bit : bits) {
          if (bit.sample == static_cast<std::uint32_t>(n) && bit.site == site &&
              bit.unit == static_cast<std::uint32_t>(u)) {
            code ^= 1U << bit.bit;
          }
        }
        values(n, u) = format.decode(grid, code, static_cast<std::size_t>(u));
      }
    }
  }

  const Network& network_;
  const Matrix& images_;
  std::map<int, std::size_t> at_;  ///< site by node
  std::map<std::size_t, Encoded> grids_;
  Matrix golden_;
};

ActivationFaults random_bits(Maker& maker, const StoredNetwork& held, Index images, Index count) {
  ActivationFaults faults{held.sites, {}};
  for (Index k = 0; k < count; ++k) {
    const auto site = maker.below(static_cast<Index>(held.sites->size()));
    const Index units = site_units(held.network, (*held.sites)[static_cast<std::size_t>(site)]);
    faults.bits.push_back({static_cast<std::uint32_t>(maker.below(images)), static_cast<std::uint32_t>(site),
                           static_cast<std::uint32_t>(maker.below(units)),
                           static_cast<std::uint32_t>(maker.below(held.format->bits))});
  }
  std::sort(faults.bits.begin(), faults.bits.end());
  faults.bits.erase(std::unique(faults.bits.begin(), faults.bits.end()), faults.bits.end());
  return faults;
}

bool same_floats(const Matrix& a, const Matrix& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::equal(a.data(), a.data() + a.size(), b.data(),
                    [](float x, float y) { return std::isnan(x) ? std::isnan(y) : x == y; });
}

void check_case(Maker& maker, const Network& network, const std::string& format, const LayerSet& layers,
                bool image) {
  CAPTURE(format, layers, image);
  const Dataset data = maker.data(37, network.input().size(), network.classes(), 0.2);
  const StoredNetwork stored = store(network, find_format(format));
  const StoredNetwork held = hold_activations(stored, layers, image, data.images);
  REQUIRE(held.sites->size() == layers.size() + (image ? 1 : 0));
  Reference reference(stored.network, *stored.format, layers, image, data.images);
  const Evaluator evaluator(held.network, data);
  REQUIRE(same_floats(evaluator.golden().logits(), reference.golden()));
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  for (const Index count : {0, 1, 5, 60, 400}) {
    const auto faults = random_bits(maker, held, data.size(), count);
    const Naive expected = naive(reference.golden(), reference.faulty(faults), data.labels);
    const Perturbation perturbation{faults, {}};
    CHECK(perturbation.flipped_bits() == static_cast<std::int64_t>(faults.bits.size()));
    const auto quick = evaluator.evaluate(perturbation, scratch, samples);
    CHECK(quick == expected.counts);
    CHECK(samples.drop == expected.drop);
    CHECK(samples.affected.size() <= faults.bits.size());
    const auto full = evaluator.evaluate_full(perturbation, scratch, samples);
    CHECK(full == expected.counts);
    CHECK(samples.drop == expected.drop);
    CHECK(samples.pair_drop == expected.pair_drop);
  }
}

}  // namespace

TEST_CASE("faulty activations: the same counts and drops as value by value, in every kind of format") {
  Maker maker(11);
  for (const auto* format : {"fp32", "fp16", "bf16", "fp8-e4m3", "fp8-e5m2", "int8", "int8-channel",
                             "int8-affine", "uint8", "int4", "int4-affine-channel", "q3.4", "posit8-2"}) {
    for (const auto* activation : {"relu", "tanh"}) {
      const Network network = maker.network("5-6-4-3", activation, true);
      check_case(maker, network, format, {0, 1, 2}, true);
      check_case(maker, network, format, {1}, false);
    }
  }
}

TEST_CASE("faulty activations: graphs that are not chains") {
  Maker maker(12);
  Network network({{4}}, {});
  const auto weights = [&](Index rows, Index cols) {
    return Weights{maker.matrix(rows, cols), maker.matrix(rows, 1).col(0)};
  };
  const int first = network.add(make_layer("dense"), weights(5, 4));
  const int relu = network.add(make_layer("relu"), {}, {first});
  const int second = network.add(make_layer("dense"), weights(5, 5), {relu});
  const int sum = network.add(make_sum(), {}, {relu, second});
  network.add(make_layer("dense"), weights(3, 5), {sum});
  for (const auto* format : {"fp32", "int8", "fp16"}) {
    check_case(maker, network, format, {0, 1, 2}, true);
    check_case(maker, network, format, {1}, false);
  }
}

TEST_CASE("held activations: fp32 holds them as they are, int8 within half a step, intervals enclose them") {
  Maker maker(13);
  const Network network = maker.network("5-6-4-3", "relu", true);
  const Dataset data = maker.data(50, 5, 3, 0.1);
  const StoredNetwork fp32 = store(network, find_format("fp32"));
  const StoredNetwork same = hold_activations(fp32, {0, 1, 2}, true, data.images);
  CHECK(same_floats(logits(same.network, same.network.view(), data.images),
                    logits(network, network.view(), data.images)));
  const StoredNetwork held =
      hold_activations(store(network, find_format("int8")), {0, 1, 2}, true, data.images);
  Activations golden;
  forward(held.network, held.network.view(), data.images, golden);
  for (const auto& site : *held.sites) {
    const Matrix& values = golden.outputs[static_cast<std::size_t>(site.node)];
    const auto& node = held.network.nodes()[static_cast<std::size_t>(site.node)];
    const Matrix& before = golden.of(node.inputs[0], data.images);
    REQUIRE(site.grid.scale.size() == 1);
    CHECK((values - before).cwiseAbs().maxCoeff() <= 0.5001F * site.grid.scale[0]);
    CHECK(values.cwiseAbs().maxCoeff() == Approx(127 * site.grid.scale[0]));
    // A stored value has the code it came from.
    for (Index i = 0; i < values.size(); ++i) {
      const Index unit = i % values.cols();
      const auto code = activation_code(site.grid, values.data()[i], unit);
      CHECK(site.grid.format->decode(site.grid, code, static_cast<std::size_t>(unit)) == values.data()[i]);
    }
  }
  for (const auto& site : *held.sites) {
    const auto& node = held.network.nodes()[static_cast<std::size_t>(site.node)];
    const MatrixD values = golden.of(node.inputs[0], data.images).cast<double>();
    const Interval box{(values.array() - 0.05).matrix(), (values.array() + 0.07).matrix()};
    const Interval* in = &box;
    Interval out;
    node.layer->interval({&in, 1}, nullptr, nullptr, out);
    for (int round = 0; round < 20; ++round) {
      Matrix moved(values.rows(), values.cols());
      for (Index i = 0; i < moved.size(); ++i) {
        const double share = 0.5 + 0.5 * static_cast<double>(maker.real());
        moved.data()[i] = static_cast<float>(values.data()[i] - 0.0499 + 0.1198 * share);
      }
      const Matrix* from = &moved;
      Matrix after;
      node.layer->forward({&from, 1}, nullptr, after);
      CHECK((after.cast<double>().array() >= out.lower.array()).all());
      CHECK((after.cast<double>().array() <= out.upper.array()).all());
    }
    CHECK((out.upper.array() > out.lower.array()).any());
  }
}

TEST_CASE("held activations: values a format cannot hold are refused") {
  Network network({{1}}, {});
  Weights weights{Matrix::Constant(2, 1, 1e5F), {}};
  network.add(make_layer("dense"), weights);
  const StoredNetwork stored = store(network, find_format("bf16"));
  StoredNetwork fp16 = stored;
  fp16.format = &find_format("fp16");
  CHECK_NOTHROW(hold_activations(stored, {0}, false, Matrix::Constant(1, 1, 1)));
  CHECK_THROWS_WITH(hold_activations(fp16, {0}, false, Matrix::Constant(1, 1, 1)),
                    Catch::Contains("is inf for image 0") && Catch::Contains("fp16"));
}
