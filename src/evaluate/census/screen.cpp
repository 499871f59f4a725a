#include "screen.hpp"

#include "lanes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <tbb/parallel_for.h>

namespace temblor::census {
namespace {

constexpr float float_infinity = std::numeric_limits<float>::infinity();
constexpr double unit_roundoff = 0x1p-24;
constexpr double second_order = 1.05;
constexpr double largest_growth = 1e37;
constexpr double root = 1.4142135623730951;

float round_down(double value) {
  return std::nextafter(static_cast<float>(value), -float_infinity);
}

float sum(Floats values) {
  float all = 0;
  for (int lane = 0; lane < width; ++lane) all += values[lane];
  return all;
}

}  // namespace

ChannelScreen::ChannelScreen(const Network& network, const ChannelPath& path, const ChannelConv& conv,
                             const PlaneShape& shape, const Sensitivity& above, Index channel)
    : network_(&network),
      conv_(&conv),
      shape_(&shape),
      above_(&above),
      path_(&path),
      channel_(channel),
      wide_((above.classes() + width - 1) / width * width) {
  const Sliding& sliding = conv.sliding();
  for (Index tap = 0; tap < conv.taps(); ++tap) {
    for (const Index position : shape.position) {
      std::int32_t place = -1;
      if (position >= 0) {
        const Index y = sliding.image_row(position / sliding.columns(), tap / sliding.window().kernel[1]);
        const Index x = sliding.image_column(position % sliding.columns(), tap % sliding.window().kernel[1]);
        if (y >= 0 && y < sliding.height() && x >= 0 && x < sliding.width())
          place = static_cast<std::int32_t>(y * sliding.width() + x);
      }
      places_.push_back(place);
    }
  }
  const auto images = static_cast<std::size_t>(above.block().size());
  const auto units = static_cast<std::size_t>(shape.padded);
  gap_.assign(images * cells(), 0.0F);
  low_.assign(images * cells(), 0.0F);
  linear_.assign(images * units * static_cast<std::size_t>(wide_), 0.0F);
  lead_.assign(images * static_cast<std::size_t>(wide_), float_infinity);
  room_.assign(images * static_cast<std::size_t>(wide_), float_infinity);
  error_.assign(images, 0.0F);
  straight_.assign(images, 0.0F);
  remainder_.assign(images * static_cast<std::size_t>(steps * wide_), 0.0F);
  reach_.assign(units, 0.0);
  for (Index u = 0; u < shape.units; ++u)
    reach_[static_cast<std::size_t>(u)] = above.reach()[channel * shape.units + u];
  const auto terms = static_cast<double>(conv.depth() + 6 + shape.sums + (shape.average ? shape.cells : 0));
  own_growing_ =
      2 * unit_roundoff * static_cast<double>(shape.units + 16 + (shape.average ? 2 * shape.cells : 0));
  growing_ = above.growing() + second_order * unit_roundoff * terms + own_growing_;
  tbb::parallel_for(std::size_t{0}, images, [&](std::size_t n) {
    place_planes(static_cast<Index>(n));
    place_logits(static_cast<Index>(n));
    place_error(static_cast<Index>(n));
    add_remainders(static_cast<Index>(n));
  });
}

/// Lines whose maximum is the change of an output: gap + delta * met for every position, and low.
void ChannelScreen::place_planes(Index image) {
  const Matrix& all = above_->block().golden.outputs[static_cast<std::size_t>(shape_->value)];
  const float* values = all.data() + image * all.cols() + channel_ * conv_->positions();
  float* gap = gap_.data() + static_cast<std::size_t>(image) * cells();
  float* low = low_.data() + static_cast<std::size_t>(image) * cells();
  for (Index u = 0; u < shape_->units; ++u) {
    float most = shape_->relu ? 0.0F : -float_infinity;
    for (Index cell = 0; cell < shape_->cells && !shape_->average; ++cell)
      most = std::max(most, values[shape_->position[static_cast<std::size_t>(cell * shape_->padded + u)]]);
    for (Index cell = 0; cell < shape_->cells; ++cell) {
      const auto at = static_cast<std::size_t>(cell * shape_->padded + u);
      const Index position = shape_->position[at];
      if (position < 0) continue;  // stays 0
      const float value = values[position];
      const float output = !shape_->average ? most : shape_->relu ? std::max(value, 0.0F) : value;
      gap[at] = value - output;
      low[at] = shape_->relu ? -output : -float_infinity;
    }
  }
}

void ChannelScreen::place_logits(Index image) {
  const ImageBlock& block = above_->block();
  const auto n = static_cast<std::size_t>(image);
  const Index classes = above_->classes();
  MatrixD linear;
  above_->linear(image, channel_ * shape_->units, shape_->units, linear);
  for (Index u = 0; u < shape_->units; ++u) {
    float* to =
        linear_.data() + (n * static_cast<std::size_t>(shape_->padded) + static_cast<std::size_t>(u)) *
                             static_cast<std::size_t>(wide_);
    for (Index j = 0; j < classes; ++j)
      to[j] = static_cast<float>(linear(j, u)) * shape_->share[static_cast<std::size_t>(u)];
  }
  const float* logits = block.golden.outputs.back().data() + image * classes;
  const Index winner = block.prediction[n];
  const Index label = block.data.labels[n];
  for (Index j = 0; j < classes; ++j) {
    const auto at = n * static_cast<std::size_t>(wide_) + static_cast<std::size_t>(j);
    const auto here = static_cast<double>(logits[j]);
    if (j != winner) lead_[at] = round_down(static_cast<double>(logits[winner]) - here);
    if (j != label) {
      const double room = static_cast<double>(logits[label]) - here - block.margin[n];
      room_[at] = room > 0 ? round_down(room) : 0.0F;
    }
  }
}

/// What rounding may do to the logits where the channel's plane is about the golden one.
void ChannelScreen::place_error(Index image) {
  const ImageBlock& block = above_->block();
  const Network::Node& node = network_->nodes()[static_cast<std::size_t>(path_->conv())];
  const Weights& weights = network_->weights(node.weights);
  const Matrix& input = block.golden.of(node.inputs[0], block.data.images);
  const Matrix& output = block.golden.outputs[static_cast<std::size_t>(shape_->value)];
  const float* values = output.data() + image * output.cols() + channel_ * conv_->positions();
  thread_local Matrix windows;
  windows.resize(conv_->positions(), conv_->depth());
  conv_->sliding().unfold(input.data() + image * input.cols() + conv_->group_offset(channel_), 0,
                          conv_->sliding().channels(), windows.data());
  Vector bias;
  if (weights.bias.size() != 0) bias = Vector::Constant(conv_->positions(), weights.bias[channel_]);
  const VectorD path = paths(windows, bias, weights.weight.data() + channel_ * conv_->depth());
  double logits = 0;
  for (Index u = 0; u < shape_->units; ++u) {
    double most = 0;
    double size = 0;
    for (Index cell = 0; cell < shape_->cells; ++cell) {
      const Index position = shape_->position[static_cast<std::size_t>(cell * shape_->padded + u)];
      if (position < 0) continue;
      const double value = std::fabs(static_cast<double>(values[position]));
      most = std::max(most, path[position] + static_cast<double>(shape_->sums) * value);
      size = std::max(size, value);
    }
    if (shape_->average) most += static_cast<double>(shape_->cells + 1) * size;
    logits += reach_[static_cast<std::size_t>(u)] * (2 * unit_roundoff * most + 1e-40);
  }
  double largest = 0;
  for (Index j = 0; j < above_->classes(); ++j) {
    const float lead = lead_[static_cast<std::size_t>(image * wide_ + j)];
    if (std::isfinite(lead)) largest = std::max(largest, static_cast<double>(lead));
  }
  error_[static_cast<std::size_t>(image)] =
      round_up(above_->fixed(image) + second_order * logits + 8 * unit_roundoff * largest);
}

/// By the norm of the plane's change: how far the logits' leads may leave their linear part.
void ChannelScreen::add_remainders(Index image) {
  const std::vector<Sensitivity::Hidden>& hidden = above_->hidden();
  const auto n = static_cast<std::size_t>(image);
  if (hidden.empty()) {
    straight_[n] = float_infinity;
    return;
  }
  std::vector<VectorD> norm;
  std::vector<VectorD> size;
  std::vector<VectorD> active;
  std::vector<MatrixD> lead;
  MatrixD slope = hidden[0].weight->middleCols(channel_ * shape_->units, shape_->units).cast<double>();
  double first = std::numeric_limits<double>::infinity();
  double last = 0;
  for (std::size_t k = 0; k < hidden.size(); ++k) {
    if (k > 0) slope = MatrixD(hidden[k].weight->cast<double>() * (active.back().asDiagonal() * slope));
    norm.push_back(slope.rowwise().norm() * (1 + 1e-9));
    const VectorD before = hidden[k].before->row(image).cast<double>().transpose();
    active.push_back((before.array() > 0).cast<double>());
    size.push_back(before.cwiseAbs());
    lead.push_back(hidden[k].lead[n].cast<double>().cwiseAbs());
    for (Index i = 0; i < before.size(); ++i) {
      if (!(norm.back()[i] > 0)) continue;
      first = std::min(first, size.back()[i] / norm.back()[i]);
      last = std::max(last, size.back()[i] / norm.back()[i]);
    }
  }
  if (!(last > 0)) {
    straight_[n] = float_infinity;  // nothing above moves
    return;
  }
  const double begin = std::max(first, 1e-3 * last);
  straight_[n] = static_cast<float>(begin);
  double at = static_cast<double>(straight_[n]) * (1 + 1e-5);
  for (int step = 0; step < steps; ++step, at *= root) {
    VectorD off;
    VectorD total = VectorD::Zero(above_->classes());
    for (std::size_t k = 0; k < hidden.size(); ++k) {
      VectorD beyond = norm[k] * at - size[k];
      if (k > 0) beyond += off;
      beyond = beyond.cwiseMax(0.0);
      total.noalias() += lead[k] * beyond;
      if (k + 1 == hidden.size()) break;
      if (k > 0) beyond += active[k].cwiseProduct(off);
      off = hidden[k].size * beyond;
    }
    float* to = remainder_.data() + (n * static_cast<std::size_t>(steps) + static_cast<std::size_t>(step)) *
                                        static_cast<std::size_t>(wide_);
    // Per unit of the norm: convex functions that begin at 0 lie below their chords.
    for (Index j = 0; j < above_->classes(); ++j) to[j] = round_up(total[j] / at * (1 + 1e-5));
  }
}

bool ChannelScreen::Weight::begin(const ChannelScreen& screen, Index weight, const float* image, Index row) {
  screen_ = &screen;
  image_ = row;
  const PlaneShape& shape = *screen.shape_;
  const Sliding& sliding = screen.conv_->sliding();
  const Index tap = weight % screen.conv_->taps();
  const float* plane = image + screen.conv_->group_offset(screen.channel_) +
                       weight / screen.conv_->taps() * sliding.height() * sliding.width();
  const std::int32_t* places = screen.places_.data() + static_cast<std::size_t>(tap) * screen.cells();
  met_.resize(screen.cells());
  for (std::size_t i = 0; i < met_.size(); ++i) met_[i] = places[i] < 0 ? 0.0F : plane[places[i]];
  most_ = 0;
  reach_ = 0;
  for (Index u = 0; u < shape.padded; u += width) {
    Floats most{};
    for (Index cell = 0; cell < shape.cells; ++cell) {
      const Floats met = load(met_.data() + cell * shape.padded + u);
      most = larger(most, larger(met, -met));
    }
    for (int lane = 0; lane < width; ++lane) {
      const auto met = static_cast<double>(most[lane]);
      most_ += met;
      reach_ += met * screen.reach_[static_cast<std::size_t>(u + lane)];
    }
  }
  return most_ > 0;
}

ChannelScreen::Weight::Bound ChannelScreen::Weight::bound(double delta) {
  const ChannelScreen& screen = *screen_;
  const PlaneShape& shape = *screen.shape_;
  const double size = std::fabs(delta);
  if (!(size * most_ * screen.above_->growth() < largest_growth)) return {false, false, 0};
  const auto n = static_cast<std::size_t>(image_);
  const float* gap = screen.gap_.data() + n * screen.cells();
  const float* low = screen.low_.data() + n * screen.cells();
  const float* linear = screen.linear_.data() + n * static_cast<std::size_t>(shape.padded * screen.wide_);
  change_.resize(static_cast<std::size_t>(shape.padded));
  leads_.assign(static_cast<std::size_t>(screen.wide_), 0.0F);
  const auto by = static_cast<float>(delta);
  Floats squares{};
  for (Index u = 0; u < shape.padded; u += width) {
    Floats change{};
    if (shape.average) {
      for (Index cell = 0; cell < shape.cells; ++cell) {
        const Index at = cell * shape.padded + u;
        change += larger(load(gap + at) + by * load(met_.data() + at), load(low + at));
      }
      const Floats mean = change * load(shape.share.data() + u);
      squares += mean * mean;
    } else {
      change = load(low + u);
      for (Index cell = 0; cell < shape.cells; ++cell) {
        const Index at = cell * shape.padded + u;
        change = larger(load(gap + at) + by * load(met_.data() + at), change);
      }
      squares += change * change;
    }
    *reinterpret_cast<Floats*>(change_.data() + u) = change;
  }
  for (Index j = 0; j < screen.wide_; j += width) {
    Floats all{};
    for (Index u = 0; u < shape.units; ++u)
      all += change_[static_cast<std::size_t>(u)] * load(linear + u * screen.wide_ + j);
    *reinterpret_cast<Floats*>(leads_.data() + j) = all;
  }
  // The remainder, by the norm of the change.
  const float norm = std::sqrt(sum(squares)) * (1 + 1e-5F);
  const float* remainder = screen.remainder_.data() + n * static_cast<std::size_t>(steps * screen.wide_);
  float until = screen.straight_[n];
  int step = 0;
  for (; step < steps && !(norm <= until); ++step) until *= static_cast<float>(root);
  if (step == steps) return {false, true, float_infinity};
  remainder += step * screen.wide_;

  const auto own = static_cast<float>(screen.own_growing_ * size * reach_);
  const float error = 2 * (screen.error_[n] + round_up(screen.growing_ * size * reach_));
  const auto label = static_cast<std::size_t>(screen.above_->block().data.labels[n]);
  const Index row = image_ * screen.wide_;
  Masks close{};
  Floats worst = Floats{} - float_infinity;
  for (Index j = 0; j < screen.wide_; j += width) {
    const Floats leads = load(leads_.data() + j);
    const Floats rest = load(remainder + j) * norm;
    close |= ~(load(screen.lead_.data() + row + j) + leads - rest > error);
    worst = larger(rest - leads - load(screen.room_.data() + row + j), worst);
  }
  const float drop = largest(worst) + leads_[label] + remainder[label] * norm + own;
  return {!any(close), true, drop};
}

double ChannelScreen::Weight::drop(double delta) {
  const ChannelScreen& screen = *screen_;
  const PlaneShape& shape = *screen.shape_;
  const auto n = static_cast<std::size_t>(image_);
  const float* gap = screen.gap_.data() + n * screen.cells();
  const float* low = screen.low_.data() + n * screen.cells();
  exact_.resize(shape.units);
  for (Index u = 0; u < shape.units; ++u) {
    double all = shape.average ? 0.0 : static_cast<double>(low[u]);
    for (Index cell = 0; cell < shape.cells; ++cell) {
      const auto at = static_cast<std::size_t>(cell * shape.padded + u);
      const double line = static_cast<double>(gap[at]) + delta * static_cast<double>(met_[at]);
      all = shape.average ? all + std::max(line, static_cast<double>(low[at])) : std::max(all, line);
    }
    exact_[u] = shape.average ? all * static_cast<double>(shape.share[static_cast<std::size_t>(u)]) : all;
  }
  return screen.above_->drop(image_, screen.channel_ * shape.units, exact_);
}

}  // namespace temblor::census
