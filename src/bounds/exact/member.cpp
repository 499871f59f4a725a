#include "member.hpp"

#include <algorithm>
#include <cmath>

#include <temblor/network/affine_interval.hpp>

namespace temblor::exact {
namespace {

double relu(double p) {
  return p < 0 ? 0 : p;
}

/// Slack is stored as float.
double stored(double s) {
  return static_cast<double>(static_cast<float>(std::clamp(s, -1.0, 1.0)));
}

}  // namespace

Chain::Chain(const Network& network, const std::vector<std::optional<Radius>>& radius) {
  for (int m = 0; m < network.layers(); ++m) {
    const Weights& weights = network.weights(m);
    const auto& box = radius[static_cast<std::size_t>(m)];
    Layer layer{};
    layer.weight = weights.weight.cast<double>();
    layer.columns = layer.weight.transpose();
    const Index units = layer.weight.rows();
    layer.bias = weights.bias.size() != 0 ? VectorD(weights.bias.cast<double>()) : VectorD::Zero(units);
    layer.slack = VectorD::Zero(units);
    if (box && !box->zero()) {
      layer.moves = true;
      layer.uniform = box->uniform;
      if (box->weight.size() != 0) {
        layer.radius = box->weight;
        layer.radius_columns = layer.radius.transpose();
      }
      // Where there is no bias there is nothing that could move.
      if (weights.bias.size() != 0) {
        layer.slack = box->bias.size() != 0 ? box->bias : VectorD::Constant(units, box->bias_uniform);
      }
    }
    layers.push_back(std::move(layer));
  }
}

std::size_t base_layer(const Network& network, const std::vector<std::optional<Radius>>& radius) {
  const auto hidden = static_cast<std::size_t>(network.layers() - 1);
  for (std::size_t m = 0; m < hidden; ++m) {
    if (radius[m] && !radius[m]->zero()) return m;
  }
  return hidden - 1;
}

VectorD Chain::Layer::reach(const VectorD& size) const {
  if (radius.size() != 0) return radius * size + slack;
  return slack.array() + uniform * size.sum();
}

Members::Members(const Chain& chain, std::size_t base, const VectorD& image)
    : chain_(&chain), base_(base), last_(chain.hidden() - 1), before_(image) {
  before_error_ = VectorD::Zero(image.size());
  for (std::size_t m = 0; m < base; ++m) {
    const auto& layer = chain.layers[m];
    const double gamma = gamma64(layer.weight.cols() + 4);
    before_error_ = layer.weight.cwiseAbs() * before_error_ +
                    gamma * (layer.weight.cwiseAbs() * before_.cwiseAbs() + layer.bias.cwiseAbs());
    before_ = (layer.weight * before_ + layer.bias).unaryExpr(&relu);
  }
  slack_.resize(chain.hidden());
  centre_.resize(chain.hidden());
  reach_.resize(chain.hidden());
  active_.resize(chain.hidden());
  for (std::size_t m = 0; m < chain.hidden(); ++m) slack_[m] = VectorD::Zero(chain.layers[m].weight.rows());
  centre_[base] = chain.layers[base].weight * before_ + chain.layers[base].bias;
  reach_[base] = chain.layers[base].reach(before_.cwiseAbs());
}

void Members::aim(std::int32_t label, std::int32_t rival) {
  label_ = label;
  rival_ = rival;
  const auto& top = chain_->layers.back();
  cost_ = top.weight.row(label) - top.weight.row(rival);
  constant_ = top.bias(label) - top.bias(rival) - top.slack(label) - top.slack(rival);
  if (top.radius.size() != 0) {
    cost_ -= top.radius.row(label).transpose() + top.radius.row(rival).transpose();
  } else {
    cost_.array() -= 2 * top.uniform;
  }
}

/// Margin from layer `layer`, whose centre and reach are given, upward.
double Members::finish(std::size_t layer, const VectorD& centre, const VectorD& reach, bool keep) {
  VectorD c = centre;
  VectorD t = reach;
  for (std::size_t m = layer;; ++m) {
    const Index units = c.size();
    VectorD z(units);
    if (m == last_) {
      for (Index k = 0; k < units; ++k) z(k) = relu(cost_(k) > 0 ? c(k) - t(k) : c(k) + t(k));
    } else {
      for (Index k = 0; k < units; ++k) z(k) = relu(c(k) + slack_[m](k) * t(k));
    }
    if (keep) {
      if (m == last_) {
        for (Index k = 0; k < units; ++k) slack_[m](k) = cost_(k) > 0 ? -1 : 1;
      }
      centre_[m] = c;
      reach_[m] = t;
      active_[m] = z;
    }
    if (m == last_) return cost_.dot(z) + constant_;
    const auto& next = chain_->layers[m + 1];
    c = next.weight * z + next.bias;
    t = next.reach(z);
  }
}

double Members::forward(std::size_t from, bool keep) {
  const VectorD c = centre_[from];
  const VectorD t = reach_[from];
  return finish(from, c, t, keep);
}

void Members::load(const std::vector<VectorD>& slack) {
  slack_ = slack;
  margin_ = forward(base_, true);
}

double Members::follow(const std::vector<VectorD>& wanted) {
  for (std::size_t m = base_;; ++m) {
    if (m > base_) {
      const auto& layer = chain_->layers[m];
      centre_[m] = layer.weight * active_[m - 1] + layer.bias;
      reach_[m] = layer.reach(active_[m - 1]);
    }
    if (m == last_) break;
    const VectorD& goal = wanted[m - base_];
    active_[m].resize(goal.size());
    for (Index k = 0; k < goal.size(); ++k) {
      const double t = reach_[m](k);
      const double s = goal(k) <= 1e-12 ? -1 : t > 0 ? (goal(k) - centre_[m](k)) / t : 0;
      slack_[m](k) = stored(s);
      active_[m](k) = relu(centre_[m](k) + slack_[m](k) * t);
    }
  }
  margin_ = forward(last_, true);
  return margin_;
}

double Members::try_end(std::size_t layer, Index unit, double end, bool keep) {
  const double z = relu(centre_[layer](unit) + end * reach_[layer](unit));
  const double by = z - active_[layer](unit);
  if (by == 0) return margin_;
  const auto& next = chain_->layers[layer + 1];
  scratch_centre_ = centre_[layer + 1] + by * next.columns.row(unit).transpose();
  if (next.radius.size() != 0) {
    scratch_reach_ = reach_[layer + 1] + by * next.radius_columns.row(unit).transpose();
  } else {
    scratch_reach_ = reach_[layer + 1].array() + by * next.uniform;
  }
  if (keep) {
    slack_[layer](unit) = end;
    active_[layer](unit) = z;
  }
  return finish(layer + 1, scratch_centre_, scratch_reach_, keep);
}

double Members::polish(int sweeps) {
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    bool better = false;
    for (std::size_t m = base_; m < last_; ++m) {
      for (Index k = 0; k < active_[m].size(); ++k) {
        for (const double end : {-1.0, 1.0}) {
          if (slack_[m](k) == end) continue;
          const double margin = try_end(m, k, end, false);
          if (margin < margin_ - 1e-9 * (1 + std::abs(margin_))) {
            margin_ = try_end(m, k, end, true);
            better = true;
          }
        }
      }
    }
    if (!better) break;
  }
  return margin_ = forward(base_, true);
}

double Members::margin_above() const {
  VectorD z = before_;
  VectorD error = before_error_;
  for (std::size_t m = base_; m <= last_ + 1; ++m) {
    const auto& layer = chain_->layers[m];
    const VectorD size = z.cwiseAbs() + error;
    const double gamma = 2 * gamma64(layer.weight.cols() + 8);
    VectorD most = layer.weight.cwiseAbs() * size + layer.bias.cwiseAbs() + layer.reach(size);
    VectorD loss = layer.weight.cwiseAbs() * error + layer.reach(error) - layer.slack + gamma * most;
    if (m > last_) {
      const double lost = loss(label_) + loss(rival_) + 4 * 0x1p-53 * (most(label_) + most(rival_));
      return margin_ + 2 * lost;
    }
    error = loss;
    z = active_[m];
  }
  return margin_;
}

}  // namespace temblor::exact
