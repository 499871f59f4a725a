#include "member.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <temblor/network/affine_interval.hpp>
#include <temblor/perturb/project.hpp>

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

Members::Members(const Chain& chain, std::size_t base, const VectorD& image, VectorD error)
    : chain_(&chain),
      base_(base),
      last_(chain.hidden() - 1),
      before_(image),
      before_error_(std::move(error)) {
  for (std::size_t m = 0; m < base; ++m) {
    const auto& layer = chain.layers[m];
    const double gamma = gamma64(layer.weight.cols() + 4);
    before_error_ = layer.weight.cwiseAbs() * before_error_ +
                    gamma * (layer.weight.cwiseAbs() * before_.cwiseAbs() + layer.bias.cwiseAbs());
    before_ = (layer.weight * before_ + layer.bias).unaryExpr(&relu);
  }
  for (std::size_t m = 0; m < chain.hidden(); ++m) {
    slack_.push_back(VectorD::Zero(chain.layers[m].weight.rows()));
  }
  active_ = centre_ = reach_ = slack_;
  centre_[base] = chain.layers[base].weight * before_ + chain.layers[base].bias;
  reach_[base] = chain.layers[base].reach(before_.cwiseAbs());
}

Members::Members(const Chain& chain, VectorD least, VectorD most)
    : chain_(&chain), least_(std::move(least)), most_(std::move(most)), base_(0), last_(chain.hidden()) {
  slack_.push_back(0.5 * (least_ + most_));
  for (std::size_t m = 0; m < chain.hidden(); ++m) {
    slack_.push_back(VectorD::Zero(chain.layers[m].weight.rows()));
  }
  active_ = centre_ = reach_ = slack_;
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
    const auto& next = into(m + 1);
    c = next.weight * z + next.bias;
    t = next.reach(z);
  }
}

/// Centre and reach of a layer from the activations before it.
void Members::enter(std::size_t layer) {
  const auto& own = into(layer);
  const VectorD& z = active_[layer - 1];
  centre_[layer] = own.weight * z + own.bias;
  reach_[layer] = own.reach(z.cwiseAbs());
}

double Members::forward(std::size_t from, bool keep) {
  const VectorD c = centre_[from];
  const VectorD t = reach_[from];
  return finish(from, c, t, keep);
}

void Members::load(const std::vector<VectorD>& slack) {
  slack_ = slack;
  if (image_moves()) {
    active_[0] = slack_[0] = slack_[0].cwiseMax(least_).cwiseMin(most_);
    enter(1);
  }
  margin_ = forward(first(), true);
}

double Members::follow(const std::vector<VectorD>& wanted) {
  for (std::size_t m = base_;; ++m) {
    if (m > base_) enter(m);
    if (m == last_) break;
    const VectorD& goal = wanted[m - base_];
    if (m == 0 && image_moves()) {
      active_[0] = slack_[0] = goal.cwiseMax(least_).cwiseMin(most_);
      continue;
    }
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
  const auto& next = into(layer + 1);
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

/// One value of the image goes elsewhere.
double Members::try_value(Index value, double x, bool keep) {
  const double was = active_[0](value);
  const auto& next = into(1);
  const double by = std::abs(x) - std::abs(was);
  scratch_centre_ = centre_[1] + (x - was) * next.columns.row(value).transpose();
  if (next.radius.size() != 0) {
    scratch_reach_ = reach_[1] + by * next.radius_columns.row(value).transpose();
  } else {
    scratch_reach_ = reach_[1].array() + by * next.uniform;
  }
  if (keep) active_[0](value) = slack_[0](value) = x;
  return finish(1, scratch_centre_, scratch_reach_, keep);
}

/// Of the margin, at the present member; slack stays.
VectorD Members::image_gradient() const {
  VectorD by = cost_;
  for (std::size_t m = last_; m >= 1; --m) {
    const auto& layer = into(m);
    for (Index k = 0; k < by.size(); ++k) by(k) = active_[m](k) > 0 ? by(k) : 0;
    const VectorD slack = slack_[m].cwiseProduct(by);
    VectorD size = layer.radius.size() != 0
                       ? VectorD(layer.radius_columns * slack)
                       : VectorD::Constant(layer.weight.cols(), layer.uniform * slack.sum());
    if (m == 1) size = active_[0].unaryExpr([](double x) { return x < 0 ? -1.0 : 1.0; }).cwiseProduct(size);
    by = layer.columns * by + size;
  }
  return by;
}

/// Moves values of the image to the ends that lower the margin: all at once, then one by one.
bool Members::polish_image() {
  const auto lower = [&](double margin) { return margin < margin_ - 1e-9 * (1 + std::abs(margin_)); };
  bool better = false;
  while (true) {
    const VectorD gradient = image_gradient();
    const std::vector<VectorD> before = slack_;
    const double margin = margin_;
    std::vector<VectorD> moved = slack_;
    for (Index k = 0; k < gradient.size(); ++k) {
      if (gradient(k) != 0) moved[0](k) = gradient(k) > 0 ? least_(k) : most_(k);
    }
    load(moved);
    if (margin_ < margin - 1e-9 * (1 + std::abs(margin))) {
      better = true;
      continue;
    }
    load(before);
    break;
  }
  const VectorD gradient = image_gradient();
  for (Index k = 0; k < gradient.size(); ++k) {
    const double end = gradient(k) > 0 ? least_(k) : most_(k);
    if (gradient(k) == 0 || end == active_[0](k) || !lower(try_value(k, end, false))) continue;
    margin_ = try_value(k, end, true);
    better = true;
  }
  return better;
}

double Members::polish(int sweeps) {
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    bool better = image_moves() && polish_image();
    for (std::size_t m = first(); m < last_; ++m) {
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
  if (image_moves()) enter(1);
  return margin_ = forward(first(), true);
}

double Members::margin_above() const {
  VectorD z = image_moves() ? active_[0] : before_;
  VectorD error = image_moves() ? VectorD(VectorD::Zero(z.size())) : before_error_;
  for (std::size_t m = first(); m <= last_ + 1; ++m) {
    const auto& layer = into(m);
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

Members still_members(const Chain& chain, std::size_t base, const Dataset& data, const EntryBox* entry,
                      Index n) {
  if (entry == nullptr)
    return {chain, base, data.images.row(n).transpose().cast<double>(), VectorD::Zero(data.images.cols())};
  const VectorD lower = entry->exact.lower.row(n).transpose();
  const VectorD upper = entry->exact.upper.row(n).transpose();
  const VectorD middle = 0.5 * (lower + upper);
  const VectorD size = lower.cwiseAbs().cwiseMax(upper.cwiseAbs());
  return {chain, base, middle, (upper - middle).cwiseMax(middle - lower) + 0x1p-51 * size};
}

std::vector<VectorD> taken(const SampleDelta& delta, const Chain& chain, const Dataset& data, Index n) {
  std::vector<VectorD> slack;
  if (delta.set.input > 0) {
    const Matrix& images = delta.images.size() != 0 ? delta.images : data.images;
    slack.push_back(images.row(n).transpose().cast<double>());
  }
  for (std::size_t m = 0; m < chain.hidden(); ++m) {
    slack.push_back(VectorD::Zero(chain.layers[m].weight.rows()));
    const Matrix& own = delta.slack[m];
    if (own.size() != 0) slack.back() = own.row(n).transpose().cast<double>();
  }
  return slack;
}

void put(const std::vector<VectorD>& slack, const Dataset& data, Index n, SampleDelta& delta) {
  const std::size_t before = delta.set.input > 0 ? 1 : 0;
  for (const int layer : delta.set.layers) {
    const auto m = static_cast<std::size_t>(layer);
    if (m + before < slack.size()) {
      delta.slack[m].row(n) = slack[m + before].transpose().cast<float>();
      continue;
    }
    // The logits: the label's goes down, all others up.
    delta.slack[m].row(n).setOnes();
    delta.slack[m](n, data.labels[static_cast<std::size_t>(n)]) = -1;
  }
  if (before == 0) return;
  for (Index k = 0; k < data.images.cols(); ++k) {
    const float base = data.images(n, k);
    const double by = std::clamp(slack[0](k) - static_cast<double>(base), -delta.set.input, delta.set.input);
    float& value = delta.images(n, k);
    value = moved(base, by, delta.set.input);
    if (data.least.size() != 0) value = std::clamp(value, data.least[k], data.most[k]);
  }
}

}  // namespace temblor::exact
