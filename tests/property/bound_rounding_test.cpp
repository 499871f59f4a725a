#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include <catch2/catch.hpp>
#include <support/fixed_point.hpp>

#include <temblor/bounds/bound.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

constexpr int scale_bits = 96;  ///< fraction bits of every drop below
constexpr int eps_bits = 7;
constexpr double eps = 0x1p-7;  // a whole number of weight steps
constexpr std::int64_t whole_eps = std::int64_t{1} << (weight_bits - eps_bits);

/// One case: a pair of one image, what some member of the set really drops it by, and what the bound's
/// formula gives when each operation is rounded and nothing is done about it.
struct Case {
  Index image, other;
  Whole truth;
  double naive_float, naive_double;
};

struct Counts {
  std::int64_t cases = 0, naive_float = 0, naive_double = 0;
  double worst_float = 0;  ///< largest relative excess of the truth over the naive value
};

Counts naive_violations(const std::vector<Case>& cases) {
  Counts counts;
  for (const auto& c : cases) {
    ++counts.cases;
    if (compare(c.naive_double, c.truth, scale_bits) < 0) ++counts.naive_double;
    if (compare(c.naive_float, c.truth, scale_bits) >= 0) continue;
    ++counts.naive_float;
    const double truth = std::ldexp(static_cast<double>(c.truth), -scale_bits);
    counts.worst_float = std::max(counts.worst_float, truth / c.naive_float - 1);
  }
  return counts;
}

/// Holds every bound that covers the set against the truth; returns names of those that meet it everywhere.
std::vector<std::string> hold(const Network& network, const Dataset& data, const ThreatSet& set,
                              const std::vector<Case>& cases) {
  std::vector<std::string> tight;
  for (const auto& entry : bound_table()) {
    if (!entry.refuses(network, set).empty()) continue;
    const auto value = entry
                           .compute({.network = network,
                                     .data = data,
                                     .set = set,
                                     .arithmetic = false,
                                     .params = checked_params(entry, {})})
                           .value;
    double loosest = 0;
    std::int64_t violations = 0;
    for (const auto& c : cases) {
      const double bound = value(c.image, c.other);
      if (compare(bound, c.truth, scale_bits) < 0) ++violations;
      loosest = std::max(loosest, bound / std::ldexp(static_cast<double>(c.truth), -scale_bits) - 1);
    }
    INFO(entry.name << ", " << cases.size() << " cases, looseness " << loosest);
    CHECK(violations == 0);
    if (loosest < 1e-9) tight.push_back(entry.name);
  }
  return tight;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void report(const std::string& what, const Counts& counts) {
  WARN(what << ": of " << counts.cases << " cases the true drop exceeds the naive float32 bound in "
            << counts.naive_float << " (by up to " << counts.worst_float
            << " of it), the naive double bound in " << counts.naive_double << ", ours in 0");
}

/// Last layer in a box: the pair's worst drop is sum_k (R_yk + R_jk) z_k, whatever the weights are.
template <class Real>
double last_layer_bound(const std::vector<Matrix>& weights, const MatrixD& radius, const float* image,
                        Index y, Index j) {
  std::vector<Real> z(image, image + weights.front().cols());
  for (std::size_t m = 0; m + 1 < weights.size(); ++m) {
    std::vector<Real> p;
    for (Index i = 0; i < weights[m].rows(); ++i) {
      Real sum = 0;
      for (Index k = 0; k < weights[m].cols(); ++k) sum += weights[m](i, k) * z[static_cast<std::size_t>(k)];
      p.push_back(std::max<Real>(sum, 0));
    }
    z = std::move(p);
  }
  Real drop = 0;
  for (Index k = 0; k < radius.cols(); ++k)
    drop += static_cast<Real>(radius(y, k) + radius(j, k)) * z[static_cast<std::size_t>(k)];
  return static_cast<double>(drop);
}

std::vector<Matrix> weights_of(const Network& network) {
  std::vector<Matrix> weights;
  for (int m = 0; m < network.layers(); ++m) weights.push_back(network.weights(m).weight);
  return weights;
}

/// All layers in an l_inf ball, no unit can switch: the backward pass of the linear bound as one writes it
/// down, margin before less the least margin after.
template <class Real>
double all_layers_bound(const std::vector<Matrix>& weights, const float* image, Index y, Index j) {
  const auto rows = [&](bool moved) {
    const auto e = static_cast<Real>(moved ? eps : 0);
    std::vector<Real> a;
    const Matrix& last = weights.back();
    for (Index k = 0; k < last.cols(); ++k)
      a.push_back(static_cast<Real>(last(y, k)) - static_cast<Real>(last(j, k)) - 2 * e);
    for (std::size_t m = weights.size() - 1; m-- > 0;) {
      Real size = 0;
      for (const Real v : a) size += std::abs(v);
      std::vector<Real> next;
      for (Index k = 0; k < weights[m].cols(); ++k) {
        Real sum = 0;
        for (Index i = 0; i < weights[m].rows(); ++i)
          sum += a[static_cast<std::size_t>(i)] * weights[m](i, k);
        next.push_back(sum - e * size);
      }
      a = std::move(next);
    }
    Real margin = 0;
    for (std::size_t k = 0; k < a.size(); ++k) margin += a[k] * image[k];
    return margin;
  };
  return static_cast<double>(rows(false) - rows(true));
}

/// The weights that reach the least margin of (y, j) when no unit can switch.
WholeNetwork worst_weights(const WholeNetwork& network, Index y, Index j) {
  WholeNetwork worst = network;
  auto& last = worst.back();
  std::vector<Whole> a;
  for (Index k = 0; k < last.inputs; ++k) {
    auto& own = last.weight[static_cast<std::size_t>(y * last.inputs + k)];
    auto& other = last.weight[static_cast<std::size_t>(j * last.inputs + k)];
    own -= whole_eps;
    other += whole_eps;
    a.push_back(own - other);
  }
  for (std::size_t m = worst.size() - 1; m-- > 0;) {
    auto& layer = worst[m];
    std::vector<Whole> next(static_cast<std::size_t>(layer.inputs), 0);
    for (Index i = 0; i < layer.outputs; ++i) {
      const Whole own = a[static_cast<std::size_t>(i)];
      for (Index k = 0; k < layer.inputs; ++k) {
        auto& w = layer.weight[static_cast<std::size_t>(i * layer.inputs + k)];
        w += own < 0 ? whole_eps : -whole_eps;
        next[static_cast<std::size_t>(k)] += own * w;
      }
    }
    a = std::move(next);
  }
  return worst;
}

Network as_network(const Network& like, const WholeNetwork& whole_network) {
  Network network = like;
  for (int m = 0; m < like.layers(); ++m) {
    Weights weights = like.weights(m);
    for (Index i = 0; i < weights.weight.size(); ++i) {
      weights.weight.data()[i] = static_cast<float>(std::ldexp(
          static_cast<double>(whole_network[static_cast<std::size_t>(m)].weight[static_cast<std::size_t>(i)]),
          -weight_bits));
    }
    network = network.with(m, std::move(weights));
  }
  return network;
}

Whole at_scale(Whole value, int bits) {
  return value * (static_cast<Whole>(1) << (scale_bits - bits));
}

struct Problem {
  Network network;
  Dataset data;
};

Problem stable_problem(std::uint64_t seed, Index images) {
  Stream stream(seed, {});
  Network network = grid_network(stream, {48, 24, 16, 10}, true, 2 * eps);
  Dataset data = grid_images(stream, network, images);
  return {std::move(network), std::move(data)};
}

}  // namespace

TEST_CASE("rounding: where only the last layer moves a naive float32 bound is broken, ours never") {
  Stream stream(41, {});
  const Network network = grid_network(stream, {48, 32, 24, 10}, false, 0);
  const Dataset data = grid_images(stream, network, 1200);
  Radius box;
  box.weight.resize(10, 24);
  for (auto& r : box.weight.reshaped<Eigen::RowMajor>())
    r = std::ldexp(static_cast<double>(1 + stream.below(1U << 14U)), -weight_bits);
  const auto set = box_set(network, 1, {std::nullopt, std::nullopt, box}, "box");

  const auto exact = whole(network);
  const auto weights = weights_of(network);
  std::vector<Case> cases;
  for (Index n = 0; n < data.size(); ++n) {
    const auto image = whole_image(data, n);
    const auto hidden = last_hidden(exact, image);
    const Index y = data.labels[static_cast<std::size_t>(n)];
    for (Index j = 0; j < 10; ++j) {
      if (j == y) continue;
      Whole drop = 0;
      for (Index k = 0; k < box.weight.cols(); ++k) {
        const double both = box.weight(y, k) + box.weight(j, k);  // exact: whole steps
        drop +=
            static_cast<std::int64_t>(std::ldexp(both, weight_bits)) * hidden[static_cast<std::size_t>(k)];
      }
      if (drop == 0) continue;
      const float* pixels = data.images.row(n).data();
      cases.push_back({n, j, at_scale(drop, logit_bits(exact)),
                       last_layer_bound<float>(weights, box.weight, pixels, y, j),
                       last_layer_bound<double>(weights, box.weight, pixels, y, j)});
    }
  }
  REQUIRE(cases.size() >= 10000);
  const auto counts = naive_violations(cases);
  CHECK(counts.naive_float > 0);
  CHECK(counts.naive_double > 0);
  const auto tight = hold(network, data, set, cases);
  CHECK(contains(tight, "interval"));
  CHECK(contains(tight, "linear"));
  report("last layer", counts);
}

TEST_CASE("rounding: where no unit can switch a naive float32 bound is broken, ours never") {
  const auto [network, data] = stable_problem(42, 1200);
  const auto set = linf_set(network, eps, {0, 1, 2}, false);
  const auto exact = whole(network);
  const auto weights = weights_of(network);
  std::vector<Case> cases;
  for (Index y = 0; y < 10; ++y) {
    for (Index j = 0; j < 10; ++j) {
      if (j == y) continue;
      const auto worst = worst_weights(exact, y, j);
      for (Index n = 0; n < data.size(); ++n) {
        if (data.labels[static_cast<std::size_t>(n)] != y) continue;
        const auto image = whole_image(data, n);
        const auto before = whole_logits(exact, image);
        const auto after = whole_logits(worst, image);
        const auto own = static_cast<std::size_t>(y), other = static_cast<std::size_t>(j);
        const Whole drop = (before[own] - before[other]) - (after[own] - after[other]);
        const float* pixels = data.images.row(n).data();
        cases.push_back({n, j, at_scale(drop, logit_bits(exact)),
                         all_layers_bound<float>(weights, pixels, y, j),
                         all_layers_bound<double>(weights, pixels, y, j)});
      }
    }
  }
  REQUIRE(cases.size() >= 10000);
  const auto counts = naive_violations(cases);
  CHECK(counts.naive_float > 0);
  CHECK(counts.naive_double > 0);
  const auto tight = hold(network, data, set, cases);
  CHECK(contains(tight, "linear"));
  report("all layers, no unstable unit", counts);
}

namespace {

/// Sums of products in several orders; every operation rounded to float32.
const std::vector<float (*)(const float*, const float*, Index)> orders = {
    [](const float* a, const float* b, Index n) {
      float sum = 0;
      for (Index k = 0; k < n; ++k) sum += a[k] * b[k];
      return sum;
    },
    [](const float* a, const float* b, Index n) {
      float sum = 0;
      for (Index k = n; k-- > 0;) sum += a[k] * b[k];
      return sum;
    },
    [](const float* a, const float* b, Index n) {
      float sum = 0;
      for (Index k = 0; k < n; ++k) sum = std::fma(a[k], b[k], sum);
      return sum;
    },
    [](const float* a, const float* b, Index n) {  // eight lanes, as vector units do
      float lane[8] = {};
      for (Index k = 0; k < n; ++k) lane[k % 8] += a[k] * b[k];
      return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    },
    [](const float* a, const float* b, Index n) {  // largest products first
      std::vector<float> terms;
      for (Index k = 0; k < n; ++k) terms.push_back(a[k] * b[k]);
      std::sort(terms.begin(), terms.end(), [](float x, float y) { return std::abs(x) > std::abs(y); });
      return std::accumulate(terms.begin(), terms.end(), 0.0F);
    },
};

std::vector<float> float_logits(const Network& network, const float* image, std::size_t order) {
  std::vector<float> z(image, image + network.input().size());
  for (int m = 0; m < network.layers(); ++m) {
    const Matrix& weight = network.weights(m).weight;
    std::vector<float> p;
    for (Index i = 0; i < weight.rows(); ++i) {
      const float sum = orders[order](weight.row(i).data(), z.data(), weight.cols());
      p.push_back(m + 1 < network.layers() ? std::max(sum, 0.0F) : sum);
    }
    z = std::move(p);
  }
  return z;
}

}  // namespace

TEST_CASE("rounding: float32 evaluation of the worst weights, in any order, stays below value + arithmetic") {
  const auto [network, data] = stable_problem(43, 60);
  const auto set = linf_set(network, eps, {0, 1, 2}, false);
  std::vector<std::pair<std::string, BoundValues>> bounds;
  for (const auto& entry : bound_table()) {
    if (!entry.refuses(network, set).empty()) continue;
    bounds.emplace_back(entry.name, entry.compute({.network = network,
                                                   .data = data,
                                                   .set = set,
                                                   .arithmetic = true,
                                                   .params = checked_params(entry, {})}));
  }
  const auto exact = whole(network);
  std::int64_t cases = 0, needed = 0;
  for (Index y = 0; y < 10; ++y) {
    for (Index j = 0; j < 10; ++j) {
      if (j == y) continue;
      const Network worst = as_network(network, worst_weights(exact, y, j));
      for (Index n = 0; n < data.size(); ++n) {
        if (data.labels[static_cast<std::size_t>(n)] != y) continue;
        const float* pixels = data.images.row(n).data();
        const auto pair = [&](const Network& of, std::size_t order) {
          const auto z = float_logits(of, pixels, order);
          return static_cast<double>(z[static_cast<std::size_t>(y)]) -
                 static_cast<double>(z[static_cast<std::size_t>(j)]);
        };
        for (std::size_t first = 0; first < orders.size(); ++first) {
          const double before = pair(network, first);
          for (std::size_t second = 0; second < orders.size(); ++second) {
            const double drop = before - pair(worst, second);
            ++cases;
            for (const auto& [name, values] : bounds) {
              INFO(name << ", image " << n << ", class " << j << ", orders " << first << " and " << second);
              REQUIRE(drop <= values.value(n, j) + values.arithmetic(n, j));
              if (name == "linear" && drop > values.value(n, j)) ++needed;
            }
          }
        }
      }
    }
  }
  CHECK(cases >= 10000);
  CHECK(needed > 0);
  WARN("float32 evaluation exceeds the value of linear in " << needed << " of " << cases
                                                            << " cases, value + arithmetic in 0");
}
