#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <temblor/campaign/compression.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/network/runner.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// f^{yj}, [images x classes].
MatrixD pair_margins(const Matrix& logits, const std::vector<std::int32_t>& labels) {
  const MatrixD wide = logits.cast<double>();
  MatrixD pairs(wide.rows(), wide.cols());
  for (Index n = 0; n < wide.rows(); ++n) {
    const double own = wide(n, labels[static_cast<std::size_t>(n)]);
    pairs.row(n) = own - wide.row(n).array();
  }
  return pairs;
}

RoundingBound hold(const BoundEntry& entry, const BoundContext& context, const MatrixD& before,
                   const MatrixD& after, const std::vector<double>& margins,
                   const std::vector<double>& drops) {
  RoundingBound row;
  row.bound = entry.name;
  row.refused = entry.refuses(context.network, context.set);
  if (!row.refused.empty()) return row;
  const auto values = entry.compute(context);
  const MatrixD total = context.arithmetic ? MatrixD(values.value + values.arithmetic) : values.value;
  const VectorD limit = margin_drop_bound(before, total, context.data.labels);
  std::vector<double> limits(limit.data(), limit.data() + limit.size());
  for (Index n = 0; n < before.rows(); ++n) {
    const auto i = static_cast<std::size_t>(n);
    bool violated = false;
    for (Index j = 0; j < before.cols(); ++j) {
      if (j != context.data.labels[i] && !(before(n, j) - after(n, j) <= total(n, j))) violated = true;
    }
    row.violated += violated ? 1 : 0;
    row.proven += margins[i] > limits[i] ? 1 : 0;
    if (drops[i] > 0 && limits[i] < infinity)
      row.tightness = std::max(row.tightness, limits[i] > 0 ? drops[i] / limits[i] : infinity);
  }
  row.median = quantile(limits, 0.5);
  row.largest = *std::max_element(limits.begin(), limits.end());
  return row;
}

}  // namespace

Rounding measure_rounding(const Network& network, const Dataset& data, const Format& format,
                          const std::vector<std::string>& bounds, bool arithmetic) {
  const StoredNetwork stored = store(network, format);
  const Matrix before = logits(network, network.view(), data.images, true);
  const Matrix after = logits(stored.network, stored.network.view(), data.images, true);
  Rounding row;
  row.format = format.name;
  for (const auto& codes : stored.codes) row.stored_bits += static_cast<std::int64_t>(codes.stored_bits());
  std::vector<double> margins, rounded, drops;
  double sum = 0;
  for (Index n = 0; n < data.size(); ++n) {
    const std::int32_t label = data.labels[static_cast<std::size_t>(n)];
    const auto was = predict(before.row(n).data(), before.cols());
    const auto is = predict(after.row(n).data(), after.cols());
    row.correct += is == label ? 1 : 0;
    row.no_prediction += is < 0 ? 1 : 0;
    row.changed += is >= 0 && is != was ? 1 : 0;
    margins.push_back(margin(before.row(n).data(), before.cols(), label));
    rounded.push_back(margin(after.row(n).data(), after.cols(), label));
    const double drop = margins.back() - rounded.back();
    drops.push_back(std::isnan(drop) ? infinity : drop);
    sum += drops.back();
  }
  row.margin = row.no_prediction > 0 ? std::nan("") : quantile(rounded, 0.5);
  row.mean_drop = sum / static_cast<double>(data.size());
  row.largest_drop = *std::max_element(drops.begin(), drops.end());

  LayerSet layers(static_cast<std::size_t>(network.layers()));
  std::iota(layers.begin(), layers.end(), 0);
  const ThreatSet set = with_rounding(linf_set(network, 0, layers, false), network, format);
  const MatrixD pairs = pair_margins(before, data.labels);
  const MatrixD pairs_after = pair_margins(after, data.labels);
  for (const auto& name : bounds) {
    const auto& entry = find_bound(name);
    row.bounds.push_back(hold(entry, {network, data, set, arithmetic, checked_params(entry, {})}, pairs,
                              pairs_after, margins, drops));
  }
  return row;
}

}  // namespace temblor
