#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/perturb/activations.hpp>

namespace temblor {
namespace {

/// What a value is where the format has neither infinities nor NaN.
float finite(float value) {
  constexpr float most = std::numeric_limits<float>::max();
  return std::isnan(value) ? 0.0F : std::clamp(value, -most, most);
}

/// Integers and fixed point.
bool finite_only(const Format& format) {
  return format.scaled || (format.order == CodeOrder::twos_complement && format.table == nullptr);
}

std::uint32_t integer_code(const Encoded& grid, float value, Index unit) {
  const Format& format = *grid.format;
  const Quantiser& quantiser = format.quantiser;
  const std::size_t entry = quantiser.per_channel ? static_cast<std::size_t>(unit) / grid.cols : 0;
  const std::int32_t offset =
      quantiser.affine && format.order == CodeOrder::twos_complement ? 1 << (format.bits - 1) : 0;
  const std::int32_t zero = grid.zero_point.empty() ? 0 : grid.zero_point[entry] + offset;
  const std::int32_t code = quantiser.code(finite(value), grid.scale[entry], zero) - offset;
  return static_cast<std::uint32_t>(code) & ((1U << static_cast<unsigned>(format.bits)) - 1U);
}

/// Values as a format holds them: encoded and decoded.
class Held final : public Layer {
 public:
  explicit Held(Encoded grid) : grid_(std::move(grid)) {}

  std::string_view kind() const override { return "held"; }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    ensure(inputs.size() == 1, "values are held of one node");
    return inputs[0];
  }

  void forward(Inputs in, const Weights*, Matrix& out) const override {
    const Format& format = *grid_.format;
    out.resize(in[0]->rows(), in[0]->cols());
    if (format.scaled) {
      for (Index r = 0; r < out.rows(); ++r) {
        for (Index i = 0; i < out.cols(); ++i) {
          out(r, i) = activation_value(grid_, integer_code(grid_, (*in[0])(r, i), i), i);
        }
      }
      return;
    }
    const auto count = static_cast<std::size_t>(out.size());
    std::vector<float> values(in[0]->data(), in[0]->data() + count);
    if (finite_only(format)) std::transform(values.begin(), values.end(), values.begin(), finite);
    const Encoded encoded = format.encode(format, values, 1, count);
    for (std::size_t i = 0; i < count; ++i) out.data()[i] = encoded.decode(i);
  }

  /// Straight through: rounding is taken for the identity (Bengio, Leonard, Courville, arXiv 1308.3432).
  void backward(Inputs, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    if (grad_in[0] != nullptr) *grad_in[0] += grad_out;
  }

  /// Rounding and saturation never change the order of two values.
  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    out.lower = held(in[0]->lower, -std::numeric_limits<float>::infinity());
    out.upper = held(in[0]->upper, std::numeric_limits<float>::infinity());
  }

 private:
  /// Bounds, rounded to a float on the side of `toward` and then held.
  MatrixD held(const MatrixD& bounds, float toward) const {
    Matrix floats(bounds.rows(), bounds.cols());
    for (Index i = 0; i < bounds.size(); ++i) {
      const auto nearest = static_cast<float>(bounds.data()[i]);
      const double error = static_cast<double>(nearest) - bounds.data()[i];
      const bool inside = toward < 0 ? error > 0 : error < 0;
      floats.data()[i] = inside ? std::nextafter(nearest, toward) : nearest;
    }
    const Matrix* in = &floats;
    Matrix out;
    forward({&in, 1}, nullptr, out);
    return out.cast<double>();
  }

  Encoded grid_;
};

/// Scale and zero point that these values [images x units] need. The channels of a unit shape {channels,
/// rows, columns} are the rows of the grid, else every unit is one.
Encoded grid_of(const Format& format, const Matrix& values, const Shape& shape) {
  const Index channels = shape.dims.size() == 3 ? shape.dims[0] : values.cols();
  const Index plane = values.cols() / channels;
  Encoded grid{&format, static_cast<std::size_t>(channels), static_cast<std::size_t>(plane), {}, {}, {}};
  if (!format.scaled) return grid;
  Matrix ends(channels, 2);
  for (Index c = 0; c < channels; ++c) {
    const auto own = values.middleCols(c * plane, plane);
    ends(c, 0) = own.minCoeff();
    ends(c, 1) = own.maxCoeff();
  }
  const Encoded encoded = format.encode(format, {ends.data(), static_cast<std::size_t>(ends.size())},
                                        static_cast<std::size_t>(ends.rows()), 2);
  grid.scale = encoded.scale;
  grid.zero_point = encoded.zero_point;
  return grid;
}

void check_finite(const Matrix& values, const std::string& where, const Format& format) {
  for (Index i = 0; i < values.size(); ++i) {
    if (std::isfinite(values.data()[i])) continue;
    input_error("output " + std::to_string(i % values.cols()) + " of " + where + " is " +
                    to_text(values.data()[i]) + " for image " + std::to_string(i / values.cols()),
                "it cannot be held in format " + format.name + " without fault",
                "take a format of larger range");
  }
}

/// The node whose outputs a layer hands on: its activation, where that alone reads it.
int output_of(const Network& network, int layer) {
  const int node = network.node_of(layer);
  int found = -1;
  int consumers = 0;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const auto& inputs = network.nodes()[i].inputs;
    if (std::find(inputs.begin(), inputs.end(), node) == inputs.end()) continue;
    ++consumers;
    if (network.nodes()[i].layer->elementwise()) found = static_cast<int>(i);
  }
  return consumers == 1 && found >= 0 ? found : node;
}

/// Copies a graph node by node, with nodes put in that hold values.
class Builder {
 public:
  Builder(const Network& from, const Format& format, const Matrix& images)
      : from_(from), format_(format), images_(images), to_(from.input(), from.scaling()) {}

  void hold(int node, int layer) {
    const Matrix& values = node < 0 ? images_ : activations_.outputs[static_cast<std::size_t>(place(node))];
    const std::string where =
        node < 0 ? "the image" : "'" + from_.nodes()[static_cast<std::size_t>(node)].name + "'";
    check_finite(values, where, format_);
    const Shape& shape = node < 0 ? from_.input() : from_.nodes()[static_cast<std::size_t>(node)].shape;
    Encoded grid = grid_of(format_, values, shape);
    const std::string name = node < 0 ? "image" : from_.nodes()[static_cast<std::size_t>(node)].name;
    const int held = to_.add(std::make_shared<Held>(grid), {}, {place(node)}, name + " held");
    run();
    check_finite(activations_.outputs.back(), where, format_);
    places_[node] = held;
    sites_.push_back({layer, held, std::move(grid)});
  }

  void copy(int node) {
    const auto& old = from_.nodes()[static_cast<std::size_t>(node)];
    std::vector<int> inputs;
    for (const int input : old.inputs) inputs.push_back(place(input));
    places_[node] =
        to_.add(old.layer, old.weights < 0 ? Weights{} : from_.weights(old.weights), inputs, old.name);
    if (old.weights >= 0 && from_.codes(old.weights) != nullptr)
      to_.set_codes(old.weights, *from_.codes(old.weights));
    run();
  }

  StoredNetwork take(const StoredNetwork& stored) {
    StoredNetwork made{stored.format, stored.codes, std::move(to_)};
    made.sites = std::make_shared<const std::vector<ActivationSite>>(std::move(sites_));
    return made;
  }

 private:
  int place(int node) const {
    const auto found = places_.find(node);
    return found == places_.end() ? node : found->second;
  }
  void run() { forward(to_, to_.view(), images_, activations_, static_cast<int>(to_.nodes().size()) - 1); }

  const Network& from_;
  const Format& format_;
  const Matrix& images_;
  Network to_;
  Activations activations_;
  std::map<int, int> places_;  ///< nodes of `from` in `to`
  std::vector<ActivationSite> sites_;
};

}  // namespace

StoredNetwork hold_activations(const StoredNetwork& stored, const LayerSet& layers, bool image,
                               const Matrix& images) {
  Builder builder(stored.network, *stored.format, images);
  std::map<int, int> wanted;  // layer by node
  for (const int layer : layers) wanted[output_of(stored.network, layer)] = layer;
  if (image) builder.hold(-1, -1);
  for (int node = 0; node < static_cast<int>(stored.network.nodes().size()); ++node) {
    builder.copy(node);
    if (const auto found = wanted.find(node); found != wanted.end()) builder.hold(node, found->second);
  }
  StoredNetwork held = builder.take(stored);
  held.name =
      stored.format->name + " activations " + layers_text(layers, stored.network) + (image ? " image" : "");
  return held;
}

Index site_units(const Network& held, const ActivationSite& site) {
  return held.nodes()[static_cast<std::size_t>(site.node)].shape.size();
}

std::string unit_name(const Shape& shape, Index unit) {
  std::vector<std::string> places;
  for (std::size_t d = shape.dims.size(); d-- > 0;) {
    places.insert(places.begin(), std::to_string(unit % shape.dims[d]));
    unit /= shape.dims[d];
  }
  return join(places, "/");
}

float activation_value(const Encoded& grid, std::uint32_t code, Index unit) {
  return grid.format->decode(grid, code, static_cast<std::size_t>(unit) / grid.cols);
}

std::uint32_t activation_code(const Encoded& grid, float value, Index unit) {
  const Format& format = *grid.format;
  if (format.scaled) return integer_code(grid, value, unit);
  const float taken = finite_only(format) ? finite(value) : value;
  return format.encode(format, {&taken, 1}, 1, 1).codes.front();
}

}  // namespace temblor
