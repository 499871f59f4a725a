#include <algorithm>
#include <cmath>
#include <memory>

#include <tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/network/pass_back.hpp>
#include <temblor/train/batch_norm.hpp>

namespace temblor {
namespace {

constexpr std::string_view norm_kind = "batch-norm";

using Plane = Eigen::Map<const Eigen::ArrayXf>;

/// Sums over a channel's values, taken relative to one of them so that a large mean costs no digits.
struct Sums {
  double shift = 0;
  double first = 0;   ///< of x - shift
  double second = 0;  ///< of (x - shift)^2

  void add(const Plane& x) {
    const auto s = static_cast<float>(shift);
    first += static_cast<double>((x - s).sum());
    second += static_cast<double>((x - s).square().sum());
  }
  double mean(double count) const { return shift + first / count; }
  double variance(double count) const {
    const double offset = first / count;
    return std::max(second / count - offset * offset, 0.0);
  }
};

/// The gradient by a channel's input: g s + (x - mean) a + constant.
struct Slopes {
  float by_g, by_x, mean, constant;

  auto of(const Plane& g, const Plane& x) const { return g * by_g + ((x - mean) * by_x + constant); }
};

/// y = gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and biased variance of a channel over all
/// images at hand and all positions. Parameters: weight [channels x 1] is gamma, bias is beta.
class BatchNorm final : public Layer, public PassesBack {
 public:
  explicit BatchNorm(const Shape& shape) : channels_(shape.dims[0]), plane_(shape.size() / shape.dims[0]) {}

  std::string_view kind() const override { return norm_kind; }
  bool weighted() const override { return true; }
  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override { return inputs[0]; }

  void forward(Inputs in, const Weights* weights, Matrix& out) const override {
    const Matrix& x = *in[0];
    out.resize(x.rows(), x.cols());
    const auto count = static_cast<double>(x.rows() * plane_);
    for (Index c = 0; c < channels_; ++c) {
      Sums sums{static_cast<double>(x.data()[c * plane_])};
      for (Index n = 0; n < x.rows(); ++n) sums.add(plane(x, n, c));
      const double scale =
          static_cast<double>(weights->weight(c, 0)) / std::sqrt(sums.variance(count) + Normalised::epsilon);
      const auto a = static_cast<float>(scale);
      const auto mean = static_cast<float>(sums.mean(count));
      const float beta = weights->bias(c);
      for (Index n = 0; n < x.rows(); ++n) own_plane(out, n, c) = (plane(x, n, c) - mean) * a + beta;
    }
  }

  void backward(Inputs in, const Matrix&, const Weights* weights, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights* grad_weights) const override {
    for (Index c = 0; c < channels_; ++c) {
      const Slopes by = slopes(*in[0], grad_out, c, weights->weight(c, 0), grad_weights);
      if (grad_in[0] == nullptr) continue;
      for (Index n = 0; n < grad_out.rows(); ++n)
        own_plane(*grad_in[0], n, c) += by.of(plane(grad_out, n, c), plane(*in[0], n, c));
    }
  }

  void pass_back(Inputs in, const Matrix&, const Weights* weights, Matrix& gradient,
                 Weights* grad_weights) const override {
    for (Index c = 0; c < channels_; ++c) {
      const Slopes by = slopes(*in[0], gradient, c, weights->weight(c, 0), grad_weights);
      for (Index n = 0; n < gradient.rows(); ++n)
        own_plane(gradient, n, c) = by.of(plane(gradient, n, c), plane(*in[0], n, c));
    }
  }

  void interval(std::span<const Interval* const>, const Weights*, const Radius*, Interval&) const override {
    internal_error("batch normalisation is folded before a network is bounded");
  }

 private:
  /// Of one channel; adds the gradients of its two parameters.
  Slopes slopes(const Matrix& in, const Matrix& grad_out, Index c, float gamma, Weights* grad_weights) const {
    const auto count = static_cast<double>(in.rows() * plane_);
    Sums sums{static_cast<double>(in.data()[c * plane_])};
    const auto shift = static_cast<float>(sums.shift);
    double above = 0;    // sum of g
    double product = 0;  // sum of g (x - shift)
    for (Index n = 0; n < in.rows(); ++n) {
      const Plane x = plane(in, n, c);
      const Plane g = plane(grad_out, n, c);
      sums.add(x);
      above += static_cast<double>(g.sum());
      product += static_cast<double>((g * (x - shift)).sum());
    }
    const double inverse = 1 / std::sqrt(sums.variance(count) + Normalised::epsilon);
    const double along = inverse * (product - above * sums.first / count);  // sum of g times what y scales
    if (grad_weights != nullptr) {
      grad_weights->weight(c, 0) += static_cast<float>(along);
      grad_weights->bias(c) += static_cast<float>(above);
    }
    const double scale = static_cast<double>(gamma) * inverse;
    return {static_cast<float>(scale), static_cast<float>(-scale * inverse * along / count),
            static_cast<float>(sums.mean(count)), static_cast<float>(-scale * above / count)};
  }

  Plane plane(const Matrix& values, Index n, Index c) const {
    return {values.data() + n * values.cols() + c * plane_, plane_};
  }
  Eigen::Map<Eigen::ArrayXf> own_plane(Matrix& values, Index n, Index c) const {
    return {values.data() + n * values.cols() + c * plane_, plane_};
  }

  Index channels_;
  Index plane_;  ///< values of a channel
};

/// Images that statistics are taken on.
Matrix chosen(const Dataset& data) {
  const Index count = std::min(data.size(), Normalised::statistics_images);
  Matrix images(count, data.images.cols());
  for (Index i = 0; i < count; ++i) images.row(i) = data.images.row(i * data.size() / count);
  return images;
}

ChannelStatistics statistics_of(const Network& network, int node, const Matrix& images) {
  constexpr Index block = 64;
  const auto& nodes = network.nodes();
  const WeightView weights = network.view();
  const Index channels = nodes[static_cast<std::size_t>(node)].shape.dims[0];
  const Index plane = nodes[static_cast<std::size_t>(node)].shape.size() / channels;
  const Index blocks = (images.rows() + block - 1) / block;
  std::vector<std::vector<Sums>> parts(static_cast<std::size_t>(blocks));
  tbb::parallel_for(Index{0}, blocks, [&](Index b) {
    const Matrix rows = images.middleRows(b * block, std::min(block, images.rows() - b * block));
    Activations run;
    run.outputs.resize(nodes.size());
    for (std::size_t i = 0; i <= static_cast<std::size_t>(node); ++i) {
      std::vector<const Matrix*> inputs;
      for (const int input : nodes[i].inputs) inputs.push_back(&run.of(input, rows));
      nodes[i].layer->forward(
          inputs, nodes[i].weights < 0 ? nullptr : weights[static_cast<std::size_t>(nodes[i].weights)],
          run.outputs[i]);
    }
    const Matrix& values = run.outputs[static_cast<std::size_t>(node)];
    auto& sums = parts[static_cast<std::size_t>(b)];
    for (Index c = 0; c < channels; ++c) {
      sums.push_back({static_cast<double>(values(0, c * plane))});
      for (Index n = 0; n < rows.rows(); ++n)
        sums.back().add({values.data() + n * values.cols() + c * plane, plane});
    }
  });
  ChannelStatistics result{VectorD::Zero(channels), VectorD::Zero(channels)};
  const auto total = static_cast<double>(images.rows());
  // The variance is that within the blocks and that between their means.
  for (Index c = 0; c < channels; ++c) {
    const auto of_block = [&](Index b) -> const Sums& {
      return parts[static_cast<std::size_t>(b)][static_cast<std::size_t>(c)];
    };
    const auto rows_of = [&](Index b) {
      return static_cast<double>(std::min(block, images.rows() - b * block));
    };
    const auto cells = static_cast<double>(plane);
    for (Index b = 0; b < blocks; ++b)
      result.mean(c) += rows_of(b) / total * of_block(b).mean(rows_of(b) * cells);
    for (Index b = 0; b < blocks; ++b) {
      const double offset = of_block(b).mean(rows_of(b) * cells) - result.mean(c);
      result.variance(c) += rows_of(b) / total * (of_block(b).variance(rows_of(b) * cells) + offset * offset);
    }
  }
  return result;
}

}  // namespace

Normalised::Normalised(const Network& plain) : plain_(plain), training_(plain.input(), plain.scaling()) {
  std::vector<int> moved;  // of a plain node: the training node that has its output
  const auto new_place = [&](int node) { return node < 0 ? -1 : moved[static_cast<std::size_t>(node)]; };
  for (const Network::Node& node : plain.nodes()) {
    std::vector<int> inputs;
    for (const int input : node.inputs) inputs.push_back(new_place(input));
    const bool convolution = node.layer->kind() == "conv2d";
    Weights weights;
    if (node.weights >= 0) {
      weights = plain.weights(node.weights);
      own_.push_back(training_.layers());
      norm_.push_back(convolution);
      if (convolution && weights.bias.size() == 0) {
        usage_error("batch normalisation of '" + node.name + "'",
                    "the convolution has no bias to take up the shift",
                    "allow biases, or use --batch-norm off");
      }
      if (convolution) weights.bias.resize(0);
    }
    moved.push_back(training_.add(node.layer, std::move(weights), std::move(inputs), node.name));
    if (!convolution) continue;
    const Index channels = node.shape.dims[0];
    moved.back() =
        training_.add(std::make_shared<BatchNorm>(node.shape),
                      {Matrix::Ones(channels, 1), Vector::Zero(channels)}, {}, node.name + ".norm");
  }
  if (std::find(norm_.begin(), norm_.end(), true) == norm_.end()) {
    usage_error("batch normalisation", "the network has no convolution", "use --batch-norm off");
  }
}

Network Normalised::folded(const std::vector<Weights>& trained, const Dataset& data) const {
  const Matrix images = chosen(data);
  Network result = plain_;
  for (int layer = 0; layer < plain_.layers(); ++layer) {
    const auto m = static_cast<std::size_t>(layer);
    Weights weights = trained[static_cast<std::size_t>(own_[m])];
    if (!norm_[m]) {
      result = result.with(layer, std::move(weights));
      continue;
    }
    const Weights& norm = trained[static_cast<std::size_t>(own_[m]) + 1];
    weights.bias = Vector::Zero(weights.weight.rows());
    const Network until = result.with(layer, weights);
    const ChannelStatistics seen = statistics_of(until, until.node_of(layer), images);
    for (Index c = 0; c < weights.weight.rows(); ++c) {
      const double scale = static_cast<double>(norm.weight(c, 0)) / std::sqrt(seen.variance(c) + epsilon);
      weights.weight.row(c) = (scale * weights.weight.row(c).cast<double>()).cast<float>();
      weights.bias(c) = static_cast<float>(static_cast<double>(norm.bias(c)) - scale * seen.mean(c));
    }
    result = result.with(layer, std::move(weights));
  }
  return result;
}

bool normalises(const Network& network) {
  return std::any_of(network.nodes().begin(), network.nodes().end(),
                     [](const Network::Node& node) { return normalises(*node.layer); });
}

bool normalises(const Layer& layer) {
  return layer.kind() == norm_kind;
}

ChannelStatistics channel_statistics(const Matrix& values, Index channels) {
  const Index plane = values.cols() / channels;
  const auto count = static_cast<double>(values.rows() * plane);
  ChannelStatistics result{VectorD(channels), VectorD(channels)};
  for (Index c = 0; c < channels; ++c) {
    Sums sums{static_cast<double>(values.data()[c * plane])};
    for (Index n = 0; n < values.rows(); ++n)
      sums.add({values.data() + n * values.cols() + c * plane, plane});
    result.mean(c) = sums.mean(count);
    result.variance(c) = sums.variance(count);
  }
  return result;
}

}  // namespace temblor
