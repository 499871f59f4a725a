#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include <support/evaluate.hpp>

#include <temblor/base/error.hpp>

namespace temblor::testing {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

class Sum final : public Layer {
 public:
  std::string_view kind() const override { return "test-sum"; }
  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override { return inputs[0]; }
  void forward(Inputs in, const Weights*, Matrix& out) const override { out = *in[0] + *in[1]; }
  void backward(Inputs, const Matrix&, const Weights*, const Matrix&, std::span<Matrix* const>,
                Weights*) const override {
    internal_error("the tests' sum layer has no gradient");
  }
  void interval(std::span<const Interval* const>, const Weights*, const Radius*, Interval&) const override {
    internal_error("the tests' sum layer has no interval");
  }
};

bool finite(const Matrix& logits, Index row) {
  for (Index j = 0; j < logits.cols(); ++j) {
    if (!std::isfinite(logits(row, j))) return false;
  }
  return true;
}

/// Classes by falling logit, lower index first.
std::vector<std::int32_t> order(const Matrix& logits, Index row) {
  std::vector<std::int32_t> classes(static_cast<std::size_t>(logits.cols()));
  std::iota(classes.begin(), classes.end(), 0);
  std::stable_sort(classes.begin(), classes.end(),
                   [&](std::int32_t a, std::int32_t b) { return logits(row, a) > logits(row, b); });
  return classes;
}

std::int32_t numpy_argmax(const Matrix& logits, Index row) {
  for (Index j = 0; j < logits.cols(); ++j) {
    if (std::isnan(logits(row, j))) return static_cast<std::int32_t>(j);
  }
  return order(logits, row).front();
}

double pair_margin(const Matrix& logits, Index row, std::int32_t label, Index other) {
  return static_cast<double>(logits(row, label)) - static_cast<double>(logits(row, other));
}

}  // namespace

Matrix Maker::matrix(Index rows, Index cols) {
  Matrix result(rows, cols);
  for (Index i = 0; i < result.size(); ++i) result.data()[i] = real();
  return result;
}

Matrix Maker::whole(Index rows, Index cols) {
  Matrix result(rows, cols);
  for (Index i = 0; i < result.size(); ++i) result.data()[i] = static_cast<float>(below(5) - 2);
  return result;
}

Dataset Maker::data(Index images, Index inputs, Index classes, double zeros, bool small_whole) {
  Dataset set;
  set.name = "random";
  set.shape = {{inputs}};
  set.classes = classes;
  set.images = small_whole ? whole(images, inputs) : matrix(images, inputs);
  for (Index i = 0; i < set.images.size(); ++i) {
    if (static_cast<double>(below(1000)) < 1000 * zeros) set.images.data()[i] = 0;
  }
  for (Index n = 0; n < images; ++n) {
    set.labels.push_back(static_cast<std::int32_t>(below(classes)));
    set.index.push_back(n);
  }
  return set;
}

Network Maker::network(const std::string& arch, const std::string& activation, bool biases,
                       bool small_whole) {
  const Index inputs = std::stoll(arch);
  Network chain = multilayer_perceptron(arch, activation, biases, {}, {{inputs}});
  for (int layer = 0; layer < chain.layers(); ++layer) {
    Weights weights = chain.weights(layer);
    weights.weight = small_whole ? whole(weights.weight.rows(), weights.weight.cols())
                                 : matrix(weights.weight.rows(), weights.weight.cols());
    if (biases)
      weights.bias = small_whole ? whole(weights.bias.size(), 1).col(0).eval()
                                 : matrix(weights.bias.size(), 1).col(0).eval();
    chain = chain.with(layer, std::move(weights));
  }
  return chain;
}

std::shared_ptr<const Layer> make_sum() {
  return std::make_shared<Sum>();
}

SparseDelta Maker::faults(const Network& network, Index changes) {
  SparseDelta delta;
  const float inf = std::numeric_limits<float>::infinity();
  const float special[] = {inf, -inf, std::numeric_limits<float>::quiet_NaN(), 0.0F, -0.0F, 1e30F, -3e38F};
  for (Index c = 0; c < changes; ++c) {
    const auto layer = static_cast<std::uint32_t>(below(network.layers()));
    const Matrix& weight = network.weights(static_cast<int>(layer)).weight;
    const auto index = static_cast<std::uint32_t>(below(weight.size()));
    const float before = weight.data()[index];
    float after = std::bit_cast<float>(std::bit_cast<std::uint32_t>(before) ^ (1U << below(32)));
    if (below(8) == 0) after = special[below(std::size(special))];
    if (below(40) == 0) after = before;
    delta.changes.push_back({layer, index, after});
  }
  const auto place = [](const Change& change) { return std::pair(change.layer, change.index); };
  std::sort(delta.changes.begin(), delta.changes.end(),
            [&](const Change& a, const Change& b) { return place(a) < place(b); });
  delta.changes.erase(std::unique(delta.changes.begin(), delta.changes.end(),
                                  [&](const Change& a, const Change& b) { return place(a) == place(b); }),
                      delta.changes.end());
  return delta;
}

Naive naive(const Matrix& golden, const Matrix& faulty, const std::vector<std::int32_t>& labels) {
  Naive result;
  result.counts.drop_max = -infinity;
  for (Index n = 0; n < golden.rows(); ++n) {
    const std::int32_t label = labels[static_cast<std::size_t>(n)];
    const std::int32_t before = finite(golden, n) ? order(golden, n).front() : -1;
    const std::int32_t after = finite(faulty, n) ? order(faulty, n).front() : -1;
    result.counts.correct += after == label;
    result.counts.broken += before == label && after != label;
    result.counts.fixed += before != label && after == label;
    result.counts.no_prediction += after < 0;
    result.counts.argmax_correct += numpy_argmax(faulty, n) == label;
    if (after >= 0 && after != before) {
      ++result.counts.changed;
      const auto classes = order(faulty, n);
      const auto five = classes.begin() + std::min<std::ptrdiff_t>(5, std::ssize(classes));
      result.counts.changed_top5 += std::find(classes.begin(), five, before) == five;
    }
    double drop = infinity;
    double pair_drop = infinity;
    std::int32_t pair_class = label == 0 ? 1 : 0;
    if (before >= 0 && after >= 0) {
      double margin_before = infinity;
      double margin_after = infinity;
      pair_drop = -infinity;
      for (Index j = 0; j < golden.cols(); ++j) {
        if (j == label) continue;
        margin_before = std::min(margin_before, pair_margin(golden, n, label, j));
        margin_after = std::min(margin_after, pair_margin(faulty, n, label, j));
        const double fall = pair_margin(golden, n, label, j) - pair_margin(faulty, n, label, j);
        if (fall > pair_drop) {
          pair_drop = fall;
          pair_class = static_cast<std::int32_t>(j);
        }
      }
      drop = margin_before - margin_after;
      result.counts.drop_sum += drop;
    }
    if (drop > result.counts.drop_max) {
      result.counts.drop_max = drop;
      result.counts.worst_sample = n;
    }
    result.drop.push_back(drop);
    result.pair_drop.push_back(pair_drop);
    result.pair_class.push_back(pair_class);
  }
  return result;
}

Naive naive(const Network& network, const Dataset& data, const std::vector<std::optional<Weights>>& layers) {
  WeightView view = network.view();
  for (std::size_t layer = 0; layer < view.size(); ++layer) {
    if (layers[layer]) view[layer] = &*layers[layer];
  }
  Activations golden;
  Activations faulty;
  forward(network, network.view(), data.images, golden);
  forward(network, view, data.images, faulty);
  return naive(golden.outputs.back(), faulty.outputs.back(), data.labels);
}

}  // namespace temblor::testing
