#include <cmath>
#include <limits>

#include <tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/generalize/pac_bayes.hpp>

namespace temblor {
namespace {

// Adds normal noise to every parameter.
Weights noisy(const Weights& weights, double sigma, Stream& stream) {
  Weights moved = weights;
  const auto add = [&](float& w) {
    w = static_cast<float>(static_cast<double>(w) + sigma * stream.normal());
  };
  for (Index i = 0; i < moved.weight.size(); ++i) add(moved.weight.data()[i]);
  for (Index i = 0; i < moved.bias.size(); ++i) add(moved.bias(i));
  return moved;
}

double squared_distance(const Network& network, const Network* prior) {
  double sum = 0;
  for (int m = 0; m < network.layers(); ++m) {
    const auto& w = network.weights(m);
    MatrixD weight = w.weight.cast<double>();
    VectorD bias = w.bias.cast<double>();
    if (prior != nullptr) {
      weight -= prior->weights(m).weight.cast<double>();
      if (bias.size() > 0) bias -= prior->weights(m).bias.cast<double>();
    }
    sum += weight.squaredNorm() + bias.squaredNorm();
  }
  return sum * (1 + 0x1p-30);
}

// Error of one network drawn from the posterior on images drawn with replacement.
double drawn_error(const Network& network, const Dataset& data, double sigma, Index images, Stream stream) {
  std::vector<Weights> moved;
  for (int m = 0; m < network.layers(); ++m) moved.push_back(noisy(network.weights(m), sigma, stream));
  WeightView view;
  for (const auto& weights : moved) view.push_back(&weights);
  Matrix shown(images, data.images.cols());
  std::vector<std::int32_t> labels;
  for (Index n = 0; n < images; ++n) {
    const auto row = stream.below(static_cast<std::uint64_t>(data.size()));
    shown.row(n) = data.images.row(static_cast<Index>(row));
    labels.push_back(data.labels[row]);
  }
  const Matrix outputs = logits(network, view, shown);
  Index wrong = 0;
  for (Index n = 0; n < images; ++n) {
    if (predict(outputs.row(n).data(), outputs.cols()) != labels[static_cast<std::size_t>(n)]) ++wrong;
  }
  return static_cast<double>(wrong) / static_cast<double>(images);
}

}  // namespace

double binary_kl(double q, double p) {
  const auto part = [](double a, double b) {
    if (a == 0) return 0.0;
    return b == 0 ? std::numeric_limits<double>::infinity() : a * std::log(a / b);
  };
  return part(q, p) + part(1 - q, 1 - p);
}

double kl_inverse(double q, double limit) {
  ensure(q >= 0 && q <= 1 && limit >= 0, "kl_inverse(q, limit) needs a probability and a limit >= 0");
  double low = q;
  double high = 1;
  if (binary_kl(q, high) <= limit) return 1;
  for (int i = 0; i < 100 && low < high; ++i) {
    const double middle = low + (high - low) / 2;
    (binary_kl(q, middle) <= limit ? low : high) = middle;
  }
  return std::min(1.0, high * (1 + 0x1p-40));
}

std::vector<PacBayesRow> pac_bayes(const Network& network, const Network* prior, const Dataset& data,
                                   const PacBayesPlan& plan, const Stream& stream) {
  ensure(data.size() >= 8 && plan.draws >= 1 && plan.images >= 1 && !plan.sigma.empty() && plan.delta > 0 &&
             plan.delta < 1,
         "a PAC-Bayes plan has images, draws, sigmas and a failure probability");
  const double distance = squared_distance(network, prior);
  const auto tried = static_cast<double>(plan.sigma.size());
  const auto n = static_cast<double>(data.size());
  std::vector<PacBayesRow> rows;
  for (std::size_t s = 0; s < plan.sigma.size(); ++s) {
    std::vector<double> errors(static_cast<std::size_t>(plan.draws));
    tbb::parallel_for(std::size_t{0}, errors.size(), [&](std::size_t k) {
      const auto id = static_cast<std::uint32_t>(s * errors.size() + k);
      errors[k] = drawn_error(network, data, plan.sigma[s], plan.images, stream.substream(id));
    });
    double sum = 0;
    for (const double error : errors) sum += error;
    PacBayesRow row;
    row.sigma = plan.sigma[s];
    row.divergence = distance / (2 * row.sigma * row.sigma);
    row.sampled = sum / static_cast<double>(plan.draws);
    row.error = kl_inverse(row.sampled, std::log(2 * tried / plan.delta) / static_cast<double>(plan.draws));
    row.bound = kl_inverse(row.error, (row.divergence + std::log(4 * tried * std::sqrt(n) / plan.delta)) / n);
    rows.push_back(row);
  }
  return rows;
}

}  // namespace temblor
