#include <algorithm>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor {
namespace {

LayerSet all_layers(const Network& network) {
  LayerSet layers(static_cast<std::size_t>(network.layers()));
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

int parse_layer(const std::string& word, const Network& network) {
  std::vector<std::string> names;
  for (int layer = 0; layer < network.layers(); ++layer) {
    if (network.layer_name(layer) == word || std::to_string(layer) == word) return layer;
    names.push_back(network.layer_name(layer));
  }
  if (!word.empty() && word.find_first_not_of("0123456789") == std::string::npos) {
    usage_error("layer " + word, "the network has " + std::to_string(network.layers()) + " weighted layers",
                "give an index from 0 to " + std::to_string(network.layers() - 1) + ", or all");
  }
  unknown_name("layer", word, names);
}

void refuse_severity(double severity, const std::string& what) {
  if (!(severity >= 0) || severity > 1e30)
    usage_error(what + " " + to_text(severity), "not a size", "give a number of at least 0");
}

/// A set of `ball` around every chosen layer, radius filled by the caller.
ThreatSet base_set(Ball ball, const Network& network, double severity, const LayerSet& layers, bool biases) {
  ThreatSet set;
  set.ball = ball;
  set.severity = severity;
  set.layers = layers;
  set.biases = biases && network.bias_count() > 0;
  set.radius.resize(static_cast<std::size_t>(network.layers()));
  return set;
}

std::string key_of(const ThreatSet& set, const std::string& quantity, const Network& network) {
  return to_text(set.ball) + " " + quantity + " layers=" + layers_text(set.layers, network) +
         " biases=" + (set.biases ? "true" : "false");
}

}  // namespace

LayerSet parse_layers(const std::string& text, const Network& network) {
  if (text == "all") return all_layers(network);
  std::string commas = text;
  std::replace(commas.begin(), commas.end(), '+', ',');
  LayerSet layers;
  for (const auto& word : split(commas, ',')) layers.push_back(parse_layer(word, network));
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

std::string layers_text(const LayerSet& layers, const Network& network) {
  if (layers == all_layers(network)) return "all";
  std::vector<std::string> parts;
  for (const int layer : layers) parts.push_back(std::to_string(layer));
  return join(parts, "+");
}

std::string to_text(Ball ball) {
  switch (ball) {
    case Ball::linf:
      return "linf";
    case Ball::relative:
      return "relative";
    case Ball::box:
      return "box";
    case Ball::l2:
      return "l2";
    case Ball::l2_row:
      return "l2-row";
    case Ball::k_weights:
      return "k-weights";
    case Ball::bits:
      return "bits";
  }
  internal_error("a ball without a name");
}

Ball parse_ball(const std::string& text) {
  const std::vector<Ball> balls = {Ball::linf,   Ball::relative,  Ball::box, Ball::l2,
                                   Ball::l2_row, Ball::k_weights, Ball::bits};
  std::vector<std::string> names;
  for (const Ball ball : balls) {
    if (to_text(ball) == text) return ball;
    names.push_back(to_text(ball));
  }
  unknown_name("ball", text, names);
}

ThreatSet linf_set(const Network& network, double eps, const LayerSet& layers, bool biases) {
  refuse_severity(eps, "eps");
  ThreatSet set = base_set(Ball::linf, network, eps, layers, biases);
  for (const int layer : layers) {
    Radius radius;
    radius.uniform = eps;
    if (set.biases && network.weights(layer).bias.size() != 0) radius.bias_uniform = eps;
    set.radius[static_cast<std::size_t>(layer)] = std::move(radius);
  }
  set.key = key_of(set, "eps=" + to_text(eps), network);
  return set;
}

ThreatSet relative_set(const Network& network, double r, const LayerSet& layers, bool biases) {
  refuse_severity(r, "relative radius");
  ThreatSet set = base_set(Ball::relative, network, r, layers, biases);
  for (const int layer : layers) {
    Radius radius;
    radius.weight = r * network.weights(layer).weight.cast<double>().cwiseAbs();
    if (set.biases) radius.bias = r * network.weights(layer).bias.cast<double>().cwiseAbs();
    set.radius[static_cast<std::size_t>(layer)] = std::move(radius);
  }
  set.key = key_of(set, "r=" + to_text(r), network);
  return set;
}

ThreatSet l2_set(const Network& network, double radius, const LayerSet& layers, bool biases) {
  refuse_severity(radius, "l2 radius");
  ThreatSet set = base_set(Ball::l2, network, radius, layers, biases);
  set.frobenius = radius;
  set.key = key_of(set, "radius=" + to_text(radius), network);
  return set;
}

ThreatSet l2_row_set(const Network& network, double radius, const LayerSet& layers, bool biases) {
  refuse_severity(radius, "l2 radius");
  ThreatSet set = base_set(Ball::l2_row, network, radius, layers, biases);
  set.row = radius;
  set.key = key_of(set, "radius=" + to_text(radius), network);
  return set;
}

ThreatSet k_weights_set(const Network& network, std::int64_t count, double delta, const LayerSet& layers,
                        bool biases) {
  refuse_severity(delta, "delta");
  if (count < 0) usage_error(std::to_string(count) + " weights", "not a number of weights", "give 0 or more");
  ThreatSet set = base_set(Ball::k_weights, network, delta, layers, biases);
  set.budget.count = count;
  set.budget.each.resize(set.radius.size());
  for (const int layer : layers) {
    Radius radius;
    radius.uniform = delta;
    if (set.biases && network.weights(layer).bias.size() != 0) radius.bias_uniform = delta;
    set.budget.each[static_cast<std::size_t>(layer)] = std::move(radius);
  }
  set.key = key_of(set, "weights=" + std::to_string(count) + " delta=" + to_text(delta), network);
  return set;
}

bool Budget::zero() const {
  if (flips != nullptr) return count == 0;
  return count == 0 ||
         std::all_of(each.begin(), each.end(), [](const auto& one) { return !one || one->zero(); });
}

ThreatSet with_input(ThreatSet set, double radius) {
  refuse_severity(radius, "input radius");
  if (radius == 0) return set;
  set.input = radius;
  set.key += " input=" + to_text(radius);
  return set;
}

ThreatSet with_rounding(ThreatSet set, const Network& network, const Format& format) {
  const StoredNetwork stored = store(network, format);
  for (const int layer : set.layers) {
    const MatrixD weight = network.weights(layer).weight.cast<double>();
    // The difference of two floats; 2^-52 where double has to round it.
    const MatrixD error =
        (stored.network.weights(layer).weight.cast<double>() - weight).cwiseAbs() * (1 + 0x1p-51);
    auto& box = set.radius[static_cast<std::size_t>(layer)];
    if (!box) box.emplace();
    box->weight =
        box->weight.size() != 0 ? MatrixD(box->weight + error) : MatrixD(error.array() + box->uniform);
    box->weight *= 1 + 0x1p-51;
    box->uniform = 0;
  }
  set.key += " rounding=" + format.name;
  return set;
}

bool box_alone(const ThreatSet& set) {
  return set.ball != Ball::bits && set.frobenius == 0 && set.row == 0 && set.budget.zero() && set.input == 0;
}

ThreatSet bits_set(const Network& network, const std::string& what, double severity, const LayerSet& layers) {
  ThreatSet set = base_set(Ball::bits, network, severity, layers, false);
  set.key = key_of(set, what + "=" + to_text(severity), network);
  return set;
}

ThreatSet flips_set(const Network& network, const std::string& what, std::int64_t flips,
                    const LayerSet& layers, FlippableCodes codes) {
  ThreatSet set = bits_set(network, what, static_cast<double>(flips), layers);
  set.budget.count = flips;
  for (int layer = 0; layer < network.layers(); ++layer) {
    if (!std::binary_search(layers.begin(), layers.end(), layer)) {
      codes.codes.at(static_cast<std::size_t>(layer)).codes.clear();
    }
  }
  set.budget.flips = std::make_shared<const FlippableCodes>(std::move(codes));
  return set;
}

ThreatSet box_set(const Network& network, double severity, std::vector<std::optional<Radius>> radius,
                  const std::string& what) {
  ensure(radius.size() == static_cast<std::size_t>(network.layers()),
         "a box has one radius a weighted layer");
  Sha256 sha;
  LayerSet layers;
  bool biases = false;
  for (int layer = 0; layer < network.layers(); ++layer) {
    const auto& box = radius[static_cast<std::size_t>(layer)];
    if (!box) continue;
    layers.push_back(layer);
    biases = biases || box->bias_uniform != 0 || box->bias.size() != 0;
    sha.add(std::to_string(layer) + " " + to_text(box->uniform) + " " + to_text(box->bias_uniform) + "\n");
    sha.add(std::as_bytes(std::span(box->weight.data(), static_cast<std::size_t>(box->weight.size()))));
    sha.add(std::as_bytes(std::span(box->bias.data(), static_cast<std::size_t>(box->bias.size()))));
  }
  ThreatSet set = base_set(Ball::box, network, severity, layers, biases);
  set.radius = std::move(radius);
  set.key = key_of(set, what + " id=" + sha.hex().substr(0, 16), network);
  return set;
}

}  // namespace temblor
