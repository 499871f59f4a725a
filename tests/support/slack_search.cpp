#include "support/slack_search.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace temblor::testing {
namespace {

Real activate(Real p, const std::string& activation) {
  if (activation == "relu") return p < 0 ? 0.0L : p;
  return activation == "tanh" ? std::tanh(p) : 1.0L / (1.0L + std::exp(-p));
}

}  // namespace

SlackSearch::SlackSearch(const Network& network, const ThreatSet& set, std::string activation)
    : activation_(std::move(activation)) {
  for (const auto& base : reference(network)) layers_.push_back({base});
  for (const auto& parameter : free_parameters(network, set)) {
    auto& layer = layers_[parameter.layer];
    const auto& weight = layer.base.weight;
    if (layer.radius.empty())
      layer.radius.assign(weight.size(), std::vector<Real>(weight.front().size() + 1, 0));
    layer.radius[parameter.row][parameter.column] = parameter.radius;
  }
  for (const int m : set.layers) {
    auto& layer = layers_[static_cast<std::size_t>(m)];
    layer.frobenius = set.frobenius;
    layer.row = set.row;
    layer.biases = set.biases && network.weights(m).bias.size() > 0;
  }
  ThreatSet each = set;
  each.radius = set.budget.each;
  for (const auto& parameter : free_parameters(network, each))
    singles_.push_back({parameter.layer, parameter.row, parameter.column, parameter.radius});
  most_singles_ = std::min(singles_.size(), static_cast<std::size_t>(set.budget.count));
  input_ = set.input;
  if (input_ > 0) numbers_ = static_cast<std::size_t>(network.input().size());
  for (auto& layer : layers_) {
    layer.box = numbers_;
    if (!layer.radius.empty()) numbers_ += layer.base.weight.size();
    layer.l2 = numbers_;
    if (layer.frobenius > 0) numbers_ += layer.base.weight.size();
    layer.rows = numbers_;
    if (layer.row > 0) numbers_ += layer.base.weight.size();
  }
}

Real SlackSearch::margin(const std::vector<Real>& image, const Member& member, std::size_t label,
                         std::size_t other) const {
  const auto& s = member.s;
  std::vector<Real> z = image, p;
  if (input_ > 0)
    for (std::size_t j = 0; j < z.size(); ++j) z[j] += input_ * s[j];
  for (std::size_t m = 0; m < layers_.size(); ++m) {
    const auto& layer = layers_[m];
    p = layer.base.bias;
    Real length = layer.biases ? 1 : 0, size = 0;
    for (const Real value : z) length += value * value;
    for (std::size_t i = 0; i < p.size(); ++i) {
      for (std::size_t j = 0; j < z.size(); ++j) p[i] += layer.base.weight[i][j] * z[j];
      if (!layer.radius.empty()) {
        Real reach = layer.radius[i].back();
        for (std::size_t j = 0; j < z.size(); ++j) reach += layer.radius[i][j] * std::abs(z[j]);
        p[i] += s[layer.box + i] * reach;
      }
      if (layer.row > 0) p[i] += s[layer.rows + i] * layer.row * std::sqrt(length);
      if (layer.frobenius > 0) size += s[layer.l2 + i] * s[layer.l2 + i];
    }
    if (layer.frobenius > 0) {
      const Real scale = layer.frobenius * std::sqrt(length) / std::max<Real>(1, std::sqrt(size));
      for (std::size_t i = 0; i < p.size(); ++i) p[i] += scale * s[layer.l2 + i];
    }
    for (const auto& single : member.singles)
      if (single.layer == m)
        p[single.row] += single.change * (single.column < z.size() ? z[single.column] : 1);
    if (m + 1 < layers_.size())
      for (auto& value : p) value = activate(value, activation_);
    std::swap(z, p);
  }
  return z[label] - z[other];
}

Real SlackSearch::worst(const std::vector<Real>& image, std::size_t label, std::size_t other, Stream& stream,
                        int restarts) const {
  Member member{std::vector<Real>(numbers_, 0), {}};
  const Real before = margin(image, member, label, other);
  Real least = before;
  for (int restart = 0; restart < restarts; ++restart) {
    for (auto& number : member.s) number = stream.below(2) == 1 ? 1 : -1;
    member.singles.clear();
    for (const auto k : choose_distinct(stream, singles_.size(), most_singles_)) {
      member.singles.push_back(singles_[k]);
      if (stream.below(2) == 1) member.singles.back().change *= -1;
    }
    Real now = margin(image, member, label, other);
    for (int sweep = 0; sweep < 4; ++sweep) {
      const Real begin = now;
      for (auto& number : member.s) {
        Real best = number;
        for (const Real candidate : std::array<Real, 3>{-1, 1, 2 * Real{stream.uniform()} - 1}) {
          number = candidate;
          const Real value = margin(image, member, label, other);
          if (value >= now) continue;
          now = value;
          best = candidate;
        }
        number = best;
      }
      for (auto& single : member.singles) {
        Single best = single;
        for (const auto& candidate : singles_) {
          const auto same = [&](const Single& one) {
            return one.layer == candidate.layer && one.row == candidate.row && one.column == candidate.column;
          };
          if (!same(best) && std::any_of(member.singles.begin(), member.singles.end(), same)) continue;
          for (const Real sign : {-1, 1}) {
            single = candidate;
            single.change *= sign;
            const Real value = margin(image, member, label, other);
            if (value >= now) continue;
            now = value;
            best = single;
          }
        }
        single = best;
      }
      if (now == begin) break;
    }
    least = std::min(least, now);
  }
  return before - least;
}

}  // namespace temblor::testing
