#include "blocks.hpp"
#include "slack.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/base/error.hpp>
#include <temblor/bounds/exact.hpp>
#include <temblor/bounds/linear.hpp>
#include <temblor/perturb/sample.hpp>

namespace temblor::pgd {
namespace {

constexpr double most_bytes = 0x1p32;            ///< of the numbers of all images
constexpr std::uint32_t first_stream = 0x10000;  // of block 0; every block draws from its own stream

/// The ascent on one block of images.
class Ascent {
 public:
  /// `ends`: the least and the most that every value of the images may be; empty when they stay.
  Ascent(const SlackNetwork& network, const Matrix& images, std::vector<std::int32_t> labels,
         const Options& options, bool l2, bool polish, std::pair<Matrix, Matrix> ends)
      : network_(&network),
        options_(&options),
        l2_(l2),
        polish_(polish),
        block_(network, images),
        labels_(std::move(labels)),
        ends_(std::move(ends)),
        base_images_(images),
        images_(images),
        best_images_(images) {
    for (std::size_t k = 0; k < network.layers().size(); ++k) {
      slack_.push_back(Matrix::Zero(images.rows(), network.numbers(k)));
    }
    best_ = slack_;
    lowest_.assign(labels_.size(), std::numeric_limits<double>::infinity());
    rank_classes(block_.forward(slack_));
  }

  void run(Stream stream) {
    std::size_t targets = 1;
    if (options_->loss == Loss::margin && options_->target != Target::runner_up) {
      targets = options_->target == Target::all ? rivals_.size() : std::min<std::size_t>(3, rivals_.size());
    }
    for (std::int64_t restart = 0; restart < options_->restarts; ++restart) {
      if (options_->soft > 0) block_.draw_slopes(restart == 0 ? nullptr : &stream);
      for (std::size_t target = 0; target < targets; ++target) {
        start(stream);
        climb(rivals_[target]);
      }
    }
    for (std::int64_t sweep = 0; polish_ && sweep < options_->polish; ++sweep) polish();
  }

  const Slack& best() const { return best_; }
  const Matrix& best_images() const { return best_images_; }

 private:
  /// rivals_[k][n]: the class of image n with the k-th largest clean logit other than the label.
  void rank_classes(const Matrix& logits) {
    const auto classes = static_cast<std::size_t>(logits.cols());
    rivals_.assign(classes - 1, std::vector<Index>(labels_.size()));
    std::vector<Index> order(classes);
    for (std::size_t n = 0; n < labels_.size(); ++n) {
      const auto row = logits.row(static_cast<Index>(n));
      std::iota(order.begin(), order.end(), Index{0});
      std::erase(order, Index{labels_[n]});
      std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return row[a] > row[b]; });
      for (std::size_t k = 0; k + 1 < classes; ++k) rivals_[k][n] = order[k];
      order.resize(classes);
    }
  }

  void start(Stream& stream) {
    for (auto& layer : slack_) {
      if (!options_->random_start) {
        layer.setZero();
        continue;
      }
      for (Index i = 0; i < layer.size(); ++i) {
        layer.data()[i] = static_cast<float>(l2_ ? stream.normal() : 2.0 * stream.uniform() - 1.0);
      }
      if (l2_) layer.rowwise().normalize();
    }
    if (image_moves()) {
      images_ = base_images_;
      if (options_->random_start) {
        for (Index i = 0; i < images_.size(); ++i) {
          const auto share = static_cast<float>(stream.uniform());
          images_.data()[i] =
              ends_.first.data()[i] + share * (ends_.second.data()[i] - ends_.first.data()[i]);
        }
      }
    }
    project();
  }

  bool image_moves() const { return ends_.first.size() != 0; }

  void project() {
    if (image_moves()) {
      images_ = images_.cwiseMax(ends_.first).cwiseMin(ends_.second);
      block_.see(images_);
    }
    for (std::size_t k = 0; k < slack_.size(); ++k) {
      Matrix& layer = slack_[k];
      const Index group = network_->layers()[k].group;
      if (group == 0) {
        layer = layer.cwiseMax(-1.0F).cwiseMin(1.0F);
        continue;
      }
      Eigen::Map<Matrix> balls(layer.data(), layer.size() / group, group);
      for (Index n = 0; n < balls.rows(); ++n) {
        const double length = balls.row(n).cast<double>().norm();
        if (length > 1.0) balls.row(n) *= static_cast<float>((1.0 - 0x1p-23) / length);
      }
    }
  }

  void climb(const std::vector<Index>& rivals) {
    for (std::int64_t t = 0;; ++t) {
      const Matrix& logits = block_.forward(slack_);
      keep(logits);
      if (t == options_->steps) return;
      Score ignored;
      if (options_->loss == Loss::cross_entropy) {
        score_logits(logits, labels_, options_->loss, &grad_logits_, ignored);
      } else {
        grad_logits_.setZero(logits.rows(), logits.cols());
        for (Index n = 0; n < logits.rows(); ++n) {
          grad_logits_(n, rivals[static_cast<std::size_t>(n)]) = 1.0F;
          grad_logits_(n, labels_[static_cast<std::size_t>(n)]) = -1.0F;
        }
      }
      const bool soft = static_cast<double>(t) < options_->soft * static_cast<double>(options_->steps);
      block_.backward(slack_, grad_logits_, soft, grad_);
      step();
    }
  }

  /// One sweep of coordinate descent from the best corner: every unit in turn goes to its other end, and
  /// stays there for the images whose margin falls.
  void polish() {
    slack_ = best_;
    if (image_moves()) block_.see(images_ = best_images_);
    for (std::size_t k = 0; k < slack_.size(); ++k) {
      if (network_->layers()[k].own) continue;
      for (Index unit = 0; unit < slack_[k].cols(); ++unit) {
        auto ends = slack_[k].col(unit);
        ends = (ends.array() > 0.0F).select(Vector::Constant(ends.size(), -1.0F), 1.0F).eval();
        keep(block_.forward(slack_));
        ends = best_[k].col(unit);
      }
    }
  }

  void step() {
    const auto size = static_cast<float>(options_->step);
    if (image_moves()) {
      const Matrix& grad = block_.image_gradient();
      const auto unit = size * static_cast<float>(network_->input());
      for (Index i = 0; i < grad.size(); ++i) {
        const float g = grad.data()[i];
        images_.data()[i] += unit * ((g > 0.0F ? 1.0F : 0.0F) - (g < 0.0F ? 1.0F : 0.0F));
      }
    }
    for (std::size_t k = 0; k < slack_.size(); ++k) {
      Matrix& grad = grad_[k];
      const Index group = network_->layers()[k].group;
      if (options_->direction == Direction::sign) {
        const float unit = group > 0 ? size / std::sqrt(static_cast<float>(group)) : size;
        for (Index i = 0; i < grad.size(); ++i) {
          const float g = grad.data()[i];
          slack_[k].data()[i] += unit * ((g > 0.0F ? 1.0F : 0.0F) - (g < 0.0F ? 1.0F : 0.0F));
        }
        continue;
      }
      const Index part = group > 0 ? group : grad.cols();
      const float count = group > 0 ? 1.0F : static_cast<float>(part);
      const Eigen::Map<const Matrix> slopes(grad.data(), grad.size() / part, part);
      Eigen::Map<Matrix> to(slack_[k].data(), slopes.rows(), part);
      for (Index n = 0; n < slopes.rows(); ++n) {
        const float length = std::sqrt(slopes.row(n).squaredNorm() / count);
        if (length > 0.0F && std::isfinite(length)) to.row(n) += size / length * slopes.row(n);
      }
    }
    project();
  }

  void keep(const Matrix& logits) {
    for (std::size_t n = 0; n < labels_.size(); ++n) {
      const auto row = static_cast<Index>(n);
      const double own = logits(row, labels_[n]);
      double margin = std::numeric_limits<double>::infinity();
      for (Index j = 0; j < logits.cols(); ++j) {
        if (j != labels_[n]) margin = std::min(margin, own - static_cast<double>(logits(row, j)));
      }
      // No prediction is the worst that can happen: its drop counts as infinite.
      if (!logits.row(row).allFinite()) margin = -std::numeric_limits<double>::infinity();
      if (!(margin < lowest_[n])) continue;
      lowest_[n] = margin;
      for (std::size_t k = 0; k < slack_.size(); ++k) best_[k].row(row) = slack_[k].row(row);
      if (image_moves()) best_images_.row(row) = images_.row(row);
    }
  }

  const SlackNetwork* network_;
  const Options* options_;
  bool l2_;
  bool polish_;
  SlackBlock block_;
  std::vector<std::int32_t> labels_;
  std::vector<std::vector<Index>> rivals_;
  Slack slack_;
  Slack grad_;
  Slack best_;
  Matrix grad_logits_;
  std::vector<double> lowest_;  ///< margin under best_
  std::pair<Matrix, Matrix> ends_;
  Matrix base_images_;
  Matrix images_;
  Matrix best_images_;
};

/// Image by image, takes the member of `other` where its margin is lower.
void keep_worse(const Network& network, const Dataset& data, const SampleDelta& other, SampleDelta& delta) {
  const SampleForward own(network, delta);
  const SampleForward theirs(network, other);
  const auto margin = [&](const Matrix& logits, Index n) {
    const Index label = data.labels[static_cast<std::size_t>(n)];
    double lowest = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < logits.cols(); ++j) {
      if (j == label) continue;
      lowest = std::min(lowest, static_cast<double>(logits(0, label)) - static_cast<double>(logits(0, j)));
    }
    return logits.allFinite() ? lowest : -std::numeric_limits<double>::infinity();
  };
  std::vector<char> worse(static_cast<std::size_t>(data.size()));
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(Index{0}, data.size(), [&](Index n) {
      SampleForward::Buffers buffers;
      const float* image = data.images.row(n).data();
      const double mine = margin(own.run(n, image, buffers), n);
      worse[static_cast<std::size_t>(n)] = margin(theirs.run(n, image, buffers), n) < mine ? 1 : 0;
    });
  });
  for (Index n = 0; n < data.size(); ++n) {
    if (worse[static_cast<std::size_t>(n)] == 0) continue;
    for (const int layer : delta.set.layers) {
      const auto m = static_cast<std::size_t>(layer);
      delta.slack[m].row(n) = other.slack[m].row(n);
    }
    if (delta.images.size() != 0) delta.images.row(n) = other.images.row(n);
  }
}

}  // namespace

void check_per_sample(const Network& network, const Dataset& data, const ThreatSet& set) {
  if (set.ball == Ball::bits) {
    usage_error("weight-pgd on a set of bit flips", "it has no gradient", "take attack bit-flip");
  }
  if (set.ball == Ball::k_weights) {
    usage_error("weight-pgd on ball k-weights", "which weights change is no continuous choice",
                "take attack k-weights");
  }
  double numbers = 0;
  for (const int layer : set.layers) {
    if (!one_number_a_unit(network, layer)) numbers += static_cast<double>(slack_size(network, set, layer));
  }
  const double bytes = 4 * numbers * static_cast<double>(data.size());
  if (bytes <= most_bytes) return;
  usage_error("weight-pgd, scope=sample, on " + std::to_string(data.size()) + " images",
              "each has weights of its own in layers that are not dense, " +
                  std::to_string(static_cast<std::int64_t>(bytes / 1e6)) + " MB in all, more than 4295",
              "choose fewer images or layers, or take scope=universal");
}

SampleDelta per_sample(const Network& network, const Dataset& data, const ThreatSet& set,
                       const Options& options, const Stream& stream) {
  check_per_sample(network, data, set);
  ensure(data.size() > 0 && !set.layers.empty(), "weight-pgd has images and layers");
  ensure(set.ball != Ball::l2 || options.polish == 0, "polish is for boxes");
  const SlackNetwork slack_network(network, set);
  SampleDelta delta{set, {}};
  if (set.input > 0) delta.images = data.images;
  delta.slack.resize(static_cast<std::size_t>(network.layers()));
  for (std::size_t k = 0; k < set.layers.size(); ++k) {
    delta.slack[static_cast<std::size_t>(set.layers[k])].resize(data.size(), slack_network.numbers(k));
  }
  const bool chain = refuses_exact(network, set).empty();
  const Index block_images = slack_network.block_images();
  const Index blocks = (data.size() + block_images - 1) / block_images;
  // Isolated: a thread that waits here must not begin another trial and hold its buffers too.
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(Index{0}, blocks, [&](Index b) {
      const Index first = b * block_images;
      const Index count = std::min(block_images, data.size() - first);
      std::pair<Matrix, Matrix> ends;
      if (set.input > 0) ends = image_ends(data, first, count, set.input);
      Ascent ascent(slack_network, data.images.middleRows(first, count),
                    {data.labels.begin() + first, data.labels.begin() + first + count}, options,
                    set.ball == Ball::l2, !chain, std::move(ends));
      ascent.run(stream.substream(first_stream + static_cast<std::uint32_t>(b)));
      for (std::size_t k = 0; k < set.layers.size(); ++k) {
        delta.slack[static_cast<std::size_t>(set.layers[k])].middleRows(first, count) = ascent.best()[k];
      }
      if (set.input > 0) delta.images.middleRows(first, count) = ascent.best_images();
    });
  });
  if (chain && options.search > 0) {
    ExactOptions few;
    few.nodes = options.search;
    keep_worse(network, data, exact_worst(network, data, set, false, few, &delta).worst, delta);
  }
  if (chain && options.polish > 0) {
    polish_worst(network, data, set, 3, static_cast<int>(options.polish), delta);
  }
  return delta;
}

}  // namespace temblor::pgd
