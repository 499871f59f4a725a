#include "blocks.hpp"

#include <algorithm>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

namespace temblor::pgd {
namespace {

constexpr Index most_images =
    96;  // sparse tiles of images: the gradient's operand stays in the first-level cache
constexpr Index most_values = Index{1} << 20;  // outputs of all nodes for one block
constexpr Index chunks_most = 16;
constexpr Index tile_columns = 98;   // 98 x 64 floats: 25 kB of weights in the first-level cache
constexpr double dense_from = 0.75;  // a larger share of non-zeros is faster as a dense product
constexpr Index fold_piece = 4096;

Index ceil_div(Index a, Index b) {
  return (a + b - 1) / b;
}

/// to = parts[0] + parts[1] + ..., in this order for every element.
void fold(const std::vector<const float*>& parts, Index n, float* to) {
  tbb::parallel_for(Index{0}, ceil_div(n, fold_piece), [&](Index piece) {
    const Index begin = piece * fold_piece;
    const Index count = std::min(fold_piece, n - begin);
    Eigen::Map<Eigen::ArrayXf> sum(to + begin, count);
    sum = Eigen::Map<const Eigen::ArrayXf>(parts[0] + begin, count);
    for (std::size_t k = 1; k < parts.size(); ++k)
      sum += Eigen::Map<const Eigen::ArrayXf>(parts[k] + begin, count);
  });
}

/// Images of a block.
Index block_of(const Network& network) {
  Index values = 0;
  for (const auto& node : network.nodes()) values += node.shape.size();
  return std::clamp<Index>(most_values / values, 1, most_images);
}

void zero_like(const Weights& like, Weights& weights) {
  weights.weight.setZero(like.weight.rows(), like.weight.cols());
  weights.bias.setZero(like.bias.size());
}

}  // namespace

void score_logits(const Matrix& logits, const std::vector<std::int32_t>& labels, Loss loss, Matrix* grad,
                  Score& score) {
  const Index classes = logits.cols();
  if (grad != nullptr) grad->setZero(logits.rows(), classes);
  Eigen::ArrayXf odds(classes);
  for (Index n = 0; n < logits.rows(); ++n) {
    const auto row = logits.row(n);
    const Index label = labels[static_cast<std::size_t>(n)];
    Index top = 0;
    Index rival = label == 0 ? 1 : 0;
    for (Index j = 0; j < classes; ++j) {
      if (row[j] > row[top]) top = j;
      if (j != label && row[j] > row[rival]) rival = j;
    }
    if (top == label) ++score.correct;
    if (loss == Loss::margin) {
      score.loss += static_cast<double>(row[rival]) - static_cast<double>(row[label]);
      if (grad == nullptr) continue;
      (*grad)(n, rival) = 1.0F;
      (*grad)(n, label) = -1.0F;
    } else {
      odds = (row.array() - row[top]).exp().transpose();
      const float sum = odds.sum();
      score.loss += std::log(static_cast<double>(sum)) + static_cast<double>(row[top]) -
                    static_cast<double>(row[label]);
      if (grad == nullptr) continue;
      grad->row(n) = (odds / sum).matrix().transpose();
      (*grad)(n, label) -= 1.0F;
    }
  }
}

/// What one chunk sums up.
struct Blocks::Sums {
  std::vector<Weights> dense;  ///< by chosen layer
  std::vector<Panels> sparse;  ///< by chosen layer: gradient transposed, where the layer's input is sparse
};

/// Activations and gradients of one block.
struct Blocks::Worker {
  std::vector<Matrix> out;
  std::vector<Matrix> grad;
  Panels panels;
};

Blocks::Blocks(const Network& network, const Dataset& data, const LayerSet& layers, Index batch, Loss loss)
    : network_(&network), layers_(layers), loss_(loss), reach_(reach(network, layers)), images_(data.size()) {
  const auto& nodes = network.nodes();
  slot_.assign(static_cast<std::size_t>(network.layers()), -1);
  for (std::size_t k = 0; k < layers.size(); ++k)
    slot_[static_cast<std::size_t>(layers[k])] = static_cast<int>(k);

  const Index block_images = block_of(network);
  sparse_.assign(nodes.size(), false);
  const Block sample = make_block(data, 0, 1, std::min(images_, 10 * block_images));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!reach_.moving[i] || nodes[i].layer->kind() != "dense" || !reach_.fixed(nodes[i].inputs[0])) continue;
    const Matrix& input = source(sample, nodes[i].inputs[0]);
    sparse_[i] =
        static_cast<double>((input.array() != 0.0F).count()) < dense_from * static_cast<double>(input.size());
  }

  const Index size = batch <= 0 ? images_ : std::min(batch, images_);
  const Index count = ceil_div(images_, size);
  batches_.resize(static_cast<std::size_t>(count));
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(Index{0}, count, [&](Index b) {
      const Index members = ceil_div(images_ - b, count);
      const Index blocks = ceil_div(members, block_images);
      const Index chunk = ceil_div(blocks, chunks_most);
      std::vector<Chunk>& chunks = batches_[static_cast<std::size_t>(b)];
      chunks.resize(static_cast<std::size_t>(ceil_div(blocks, chunk)));
      tbb::parallel_for(std::size_t{0}, chunks.size(), [&](std::size_t c) {
        const Index last = std::min(blocks, (static_cast<Index>(c) + 1) * chunk);
        for (Index k = static_cast<Index>(c) * chunk; k < last; ++k) {
          const Index first = members * k / blocks;
          chunks[c].push_back(make_block(data, b + first * count, count, members * (k + 1) / blocks - first));
        }
      });
    });
  });
}

const Matrix& Blocks::source(const Block& block, int node) const {
  return block.fixed.of(node, block.images);
}

Blocks::Block Blocks::make_block(const Dataset& data, Index first, Index stride, Index count) const {
  const auto& nodes = network_->nodes();
  Block block;
  block.images.resize(count, data.images.cols());
  for (Index k = 0; k < count; ++k) {
    block.images.row(k) = data.images.row(first + k * stride);
    block.labels.push_back(data.labels[static_cast<std::size_t>(first + k * stride)]);
  }
  run_fixed(*network_, reach_, block.images, block.fixed);
  block.rows.resize(nodes.size());
  block.columns.resize(nodes.size());
  std::vector<bool> dense(nodes.size() + 1);  // by node + 1: a moving node reads it as a matrix
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!reach_.moving[i]) continue;
    if (sparse_[i]) {
      const Matrix& input = source(block, nodes[i].inputs[0]);
      block.rows[i] = sparse_tiles(input, tile_columns);
      block.columns[i] = sparse_transposed(input);
    } else {
      for (const int input : nodes[i].inputs) dense[static_cast<std::size_t>(input + 1)] = true;
    }
  }
  if (!dense[0]) block.images.resize(0, 0);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!dense[i + 1]) block.fixed.outputs[i].resize(0, 0);
  }
  return block;
}

std::vector<Panels> Blocks::pack_weights(const WeightView& weights) const {
  const auto& nodes = network_->nodes();
  std::vector<Panels> packed(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (sparse_[i]) pack_transposed(weights[static_cast<std::size_t>(nodes[i].weights)]->weight, packed[i]);
  }
  return packed;
}

void Blocks::run_block(const Block& block, const WeightView& weights, const std::vector<Panels>& packed,
                       Worker& worker, Sums* sums, Score& score) const {
  const auto& nodes = network_->nodes();
  const auto images = static_cast<Index>(block.labels.size());
  worker.out.resize(nodes.size());
  worker.grad.resize(nodes.size());
  const auto inputs = [&](const Network::Node& node) {
    std::vector<const Matrix*> in;
    for (const int k : node.inputs)
      in.push_back(reach_.fixed(k) ? &source(block, k) : &worker.out[static_cast<std::size_t>(k)]);
    return in;
  };
  const auto parameters = [&](const Network::Node& node) {
    return node.weights < 0 ? nullptr : weights[static_cast<std::size_t>(node.weights)];
  };

  for (std::size_t i = static_cast<std::size_t>(reach_.first); i < nodes.size(); ++i) {
    if (!reach_.moving[i]) continue;
    const Weights* own = parameters(nodes[i]);
    if (!sparse_[i]) {
      nodes[i].layer->forward(inputs(nodes[i]), own, worker.out[i]);
      continue;
    }
    worker.panels.resize(images, own->weight.rows());
    worker.panels.values.setZero();
    multiply_add(*block.rows[i], packed[i], worker.panels);
    unpack(worker.panels, worker.out[i]);
    if (own->bias.size() != 0) worker.out[i].rowwise() += own->bias.transpose();
  }

  score_logits(worker.out.back(), block.labels, loss_, sums != nullptr ? &worker.grad.back() : nullptr,
               score);
  if (sums == nullptr) return;

  for (std::size_t i = static_cast<std::size_t>(reach_.first); i + 1 < nodes.size(); ++i) {
    if (reach_.moving[i]) worker.grad[i].setZero(images, worker.out[i].cols());
  }
  for (std::size_t i = nodes.size(); i-- > static_cast<std::size_t>(reach_.first);) {
    if (!reach_.moving[i]) continue;
    const int slot = nodes[i].weights < 0 ? -1 : slot_[static_cast<std::size_t>(nodes[i].weights)];
    Weights* wanted = slot < 0 ? nullptr : &sums->dense[static_cast<std::size_t>(slot)];
    if (sparse_[i]) {
      pack(worker.grad[i], worker.panels);
      multiply_add(*block.columns[i], worker.panels, sums->sparse[static_cast<std::size_t>(slot)]);
      if (wanted->bias.size() != 0) wanted->bias += worker.grad[i].colwise().sum().transpose();
      continue;
    }
    std::vector<Matrix*> grad_in;
    for (const int k : nodes[i].inputs) {
      grad_in.push_back(reach_.fixed(k) ? nullptr : &worker.grad[static_cast<std::size_t>(k)]);
    }
    nodes[i].layer->backward(inputs(nodes[i]), worker.out[i], parameters(nodes[i]), worker.grad[i], grad_in,
                             wanted);
  }
}

Score Blocks::run(const WeightView& weights, std::size_t batch, bool wanted,
                  std::vector<Weights>& grads) const {
  const std::vector<Chunk>& chunks = batches_[batch];
  const std::vector<Panels> packed = pack_weights(weights);
  std::vector<Score> scores(chunks.size());
  std::vector<Sums> sums(wanted ? chunks.size() : 0);
  // Isolated: a thread that waits here must not begin another trial and hold its buffers too.
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(std::size_t{0}, chunks.size(), [&](std::size_t c) {
      if (wanted) {
        sums[c].dense.resize(layers_.size());
        sums[c].sparse.resize(layers_.size());
        for (std::size_t k = 0; k < layers_.size(); ++k) {
          const Weights& base = network_->weights(layers_[k]);
          zero_like(base, sums[c].dense[k]);
          if (!sparse_[static_cast<std::size_t>(network_->node_of(layers_[k]))]) continue;
          sums[c].dense[k].weight.resize(0, 0);
          sums[c].sparse[k].resize(base.weight.cols(), base.weight.rows());
          sums[c].sparse[k].values.setZero();
        }
      }
      Worker worker;
      for (const Block& block : chunks[c]) {
        run_block(block, weights, packed, worker, wanted ? &sums[c] : nullptr, scores[c]);
      }
    });
    if (!wanted) return;
    grads.resize(layers_.size());
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      const Weights& base = network_->weights(layers_[k]);
      zero_like(base, grads[k]);
      std::vector<const float*> parts;
      for (const Sums& chunk : sums) parts.push_back(chunk.dense[k].bias.data());
      fold(parts, base.bias.size(), grads[k].bias.data());
      parts.clear();
      if (sums[0].sparse[k].values.size() == 0) {
        for (const Sums& chunk : sums) parts.push_back(chunk.dense[k].weight.data());
        fold(parts, base.weight.size(), grads[k].weight.data());
      } else {
        Panels total;
        total.resize(base.weight.cols(), base.weight.rows());
        for (const Sums& chunk : sums) parts.push_back(chunk.sparse[k].values.data());
        fold(parts, total.values.size(), total.values.data());
        unpack_transposed(total, grads[k].weight);
      }
    }
  });
  Score score;
  for (const Score& chunk : scores) {
    score.loss += chunk.loss;
    score.correct += chunk.correct;
  }
  return score;
}

Score Blocks::run_all(const WeightView& weights) const {
  Score score;
  std::vector<Weights> none;
  for (std::size_t b = 0; b < batches(); ++b) {
    const Score part = run(weights, b, false, none);
    score.loss += part.loss;
    score.correct += part.correct;
  }
  return score;
}

}  // namespace temblor::pgd
