#include "ray.hpp"

#include "walk.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor::census {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double unit_roundoff = 0x1p-24;
constexpr double underflow = 0x1p-150;  // what rounding may add to a sum below the normal floats
constexpr double second_order = 1.05;   // as in Chain: what the first-order terms leave out
/// A distance beyond every float: where lines that go on for ever end.
constexpr double far = 1e60;

/// Starts an image's lists.
void begin_image(Rays& rays) {
  for (std::size_t side = 0; side < 2; ++side) {
    rays.first_segment[side].push_back(static_cast<std::uint32_t>(rays.segments[side].size()));
    rays.first_node[side].push_back(static_cast<std::uint32_t>(rays.nodes[side].size()));
  }
}

}  // namespace

void Rays::clear() {
  for (std::size_t side = 0; side < 2; ++side) {
    segments[side].clear();
    nodes[side].clear();
    first_segment[side].clear();
    first_node[side].clear();
  }
}

double Rays::drop(std::size_t side, std::size_t image, double distance) const {
  const Node* at = nodes[side].data() + first_node[side][image];
  const Node* end = nodes[side].data() + first_node[side][image + 1];
  Node from{0, 0};
  for (; at != end; ++at) {
    if (distance <= at->at) {
      const double width = at->at - from.at;
      return width > 0 ? from.drop + (at->drop - from.drop) * ((distance - from.at) / width) : at->drop;
    }
    from = *at;
  }
  return from.drop;
}

double Rays::steepest(std::size_t side, std::size_t image, double reach) const {
  // drop / distance is monotone on every line, so its largest value is at a node or at the reach.
  const Node* at = nodes[side].data() + first_node[side][image];
  const Node* end = nodes[side].data() + first_node[side][image + 1];
  double most = 0;
  for (; at != end && at->at < reach; ++at) {
    if (at->at > 0) most = std::max(most, at->drop / at->at);
  }
  return at == end ? most : std::max(most, drop(side, image, reach) / reach);
}

void emit(Rays& rays, std::size_t side, std::int32_t code, double end) {
  auto& segments = rays.segments[side];
  if (segments.size() > rays.first_segment[side].back()) {
    Segment& last = segments.back();
    if (end <= last.end) return;
    if (last.code == code) {
      last.end = end;
      return;
    }
  } else if (!(end > 0)) {
    return;
  }
  segments.push_back({end, code});
}

RayTracer::RayTracer(const Network& network, const Dataset& data, const Golden& golden, const Chain& chain,
                     std::size_t stage)
    : data_(&data), golden_(&golden), chain_(&chain), stage_(stage) {
  for (std::size_t k = stage + 1; k < chain.stages.size(); ++k) {
    const int node = chain.stages[k].node;
    const Matrix& weight = network.weights(network.nodes()[static_cast<std::size_t>(node)].weights).weight;
    Above::Level level;
    level.units = weight.rows();
    level.padded = (weight.rows() + lanes - 1) / lanes * lanes;
    level.golden = chain.stages[k].outputs.get();
    level.offset = above_.total;
    level.columns.assign(static_cast<std::size_t>(level.padded * weight.cols()), 0.0);
    for (Index c = 0; c < weight.cols(); ++c) {
      for (Index r = 0; r < weight.rows(); ++r)
        level.columns[static_cast<std::size_t>(c * level.padded + r)] = static_cast<double>(weight(r, c));
    }
    above_.total += level.padded;
    above_.levels.push_back(std::move(level));
  }
  add_rounding(network);
}

/// A sum errs by at most u times the magnitudes of its partial sums, in the golden run and in the faulty one,
/// whose partial sums differ by at most (terms of the sum) * (change of the inputs, after absolute weights).
void RayTracer::add_rounding(const Network& network) {
  const auto& stages = chain_->stages;
  MatrixD above = MatrixD::Identity(network.classes(), network.classes());
  MatrixD errors = MatrixD::Zero(network.classes(), data_->size());
  for (std::size_t k = stages.size() - 1; k > stage_; --k) {
    const int node = stages[k].node;
    const Matrix& weight = network.weights(network.nodes()[static_cast<std::size_t>(node)].weights).weight;
    const auto terms = static_cast<double>(weight.cols() + 1);
    errors += 2 * unit_roundoff * above * stages[k].path.cast<double>();
    errors.colwise() += 2 * underflow * terms * above.rowwise().sum();
    steps_ += unit_roundoff * terms;
    above = above * weight.cast<double>().cwiseAbs();
  }
  for (Index image = 0; image < data_->size(); ++image)
    rounding_.push_back(second_order * errors.col(image).maxCoeff());
  for (Index unit = 0; unit < above.cols(); ++unit) reach_.push_back(above.col(unit).maxCoeff());
}

Guard RayTracer::guard(Index unit, Index image) const {
  Guard guard;
  const auto terms = static_cast<double>(stage().input.rows() + 1);
  guard.own_fixed =
      second_order * 2 * (unit_roundoff * static_cast<double>(stage().path(unit, image)) + underflow * terms);
  guard.own_growing = second_order * unit_roundoff * terms;
  if (last()) return guard;
  guard.fixed = rounding_[static_cast<std::size_t>(image)];
  guard.growing = second_order * reach_[static_cast<std::size_t>(unit)] * steps_;
  return guard;
}

void RayTracer::trace(Index unit, double reach, Rays& rays) const {
  rays.clear();
  Walk walk(above_);
  std::vector<Segment> plain;
  for (Index image = 0; image < data_->size(); ++image) {
    begin_image(rays);
    if (last()) {
      trace_last(unit, image, rays);
    } else {
      trace_inner(unit, image, reach, walk, rays);
    }
    widen(guard(unit, image), rays, plain);
  }
  begin_image(rays);
}

/// Moves the ends of an image's segments inward by what inference may be off at this distance.
void RayTracer::widen(const Guard& bound, Rays& rays, std::vector<Segment>& plain) const {
  const auto inward = [&](double end) { return (end - bound.own_fixed) / (1 + bound.own_growing); };
  const auto outward = [&](double end) { return (end + bound.own_fixed) / (1 - bound.own_growing); };
  const auto first_of = [&](std::size_t side) {
    const auto& segments = rays.segments[side];
    const std::size_t first = rays.first_segment[side].back();
    return first < segments.size() ? segments[first] : Segment{0, untraced};
  };
  const Segment first[2] = {first_of(0), first_of(1)};
  for (std::size_t side = 0; side < 2; ++side) {
    auto& segments = rays.segments[side];
    const auto begin = segments.begin() + rays.first_segment[side].back();
    plain.assign(begin, segments.end());
    segments.erase(begin, segments.end());
    const Segment& other = first[1 - side];
    const bool through = other.code == first[side].code && other.end >= outward(0);
    double from = through ? 0 : outward(0);
    for (const Segment& segment : plain) {
      const double to = inward(segment.end);
      if (segment.code >= 0 && from < to) {
        emit(rays, side, undecided, from);
        emit(rays, side, segment.code, to);
      }
      from = outward(segment.end);
      emit(rays, side, segment.code < 0 ? segment.code : undecided, segment.code < 0 ? segment.end : from);
    }
  }
}

void RayTracer::trace_inner(Index unit, Index image, double reach, Walk& walk, Rays& rays) const {
  Guard bound = guard(unit, image);
  const double p = static_cast<double>(stage().before(unit, image));
  const std::int32_t label = data_->labels[static_cast<std::size_t>(image)];
  const double limit = (reach + 2 * bound.own_fixed) * (1 + 2 * bound.own_growing);
  if (p > 0) {
    walk.start(unit, image);
    walk.run(rays, 0, 0, limit, label, bound);
    walk.start(unit, image);
    if (!walk.run(rays, 1, 0, p, label, bound)) {
      emit(rays, 1, untraced, infinity);
      return;
    }
    const auto [winner, lead] = walk.winner();
    emit(rays, 1, lead > 2 * (bound.fixed + bound.growing * p) ? winner : undecided, infinity);
    return;
  }
  // Dead: as long as it stays so, inference gives the golden logits bit for bit.
  const std::int32_t golden = golden_->prediction[static_cast<std::size_t>(image)];
  emit(rays, 1, golden, infinity);
  emit(rays, 0, golden, std::min(-p, limit));
  if (-p >= limit) return;
  rays.nodes[0].push_back({-p, 0});
  bound.fixed += bound.growing * p;  // the output begins to change at distance -p
  walk.start(unit, image);
  walk.run(rays, 0, -p, limit, label, bound);
}

void RayTracer::trace_last(Index unit, Index image, Rays& rays) const {
  const float* logits = golden_->logits().data() + image * golden_->logits().cols();
  const std::int32_t label = data_->labels[static_cast<std::size_t>(image)];
  const auto own = static_cast<std::int32_t>(unit);
  const auto classes = static_cast<std::int32_t>(golden_->logits().cols());
  std::int32_t other = -1;   // the prediction when this logit is low
  double rival = -infinity;  // the largest logit that is neither this nor the label's
  for (std::int32_t j = 0; j < classes; ++j) {
    if (j == own) continue;
    if (other < 0 || logits[j] > logits[other]) other = j;
    if (j != label) rival = std::max(rival, static_cast<double>(logits[j]));
  }
  const double p = static_cast<double>(logits[own]);
  const double gap = static_cast<double>(logits[other]) - p;  // distance up to the other's logit
  // The other logits are the golden ones bit for bit; only this one's own error counts (widen).
  emit(rays, 0, other, gap);
  emit(rays, 0, own, infinity);
  emit(rays, 1, own, -gap);
  emit(rays, 1, other, infinity);

  const auto node = [&](std::size_t side, double at, double drop) { rays.nodes[side].push_back({at, drop}); };
  if (own == label) {
    node(0, far, -far);
    node(1, far, far);
    return;
  }
  if (p < rival) node(0, rival - p, 0);
  node(0, far, far);
  if (p > rival) {
    const double until = std::min(p - rival, far);
    node(1, until, -until);
  }
}

}  // namespace temblor::census
