#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <temblor/bounds/graph_backward.hpp>

namespace temblor {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

/// Rows and columns of a plane that something behind a layer depends on.
using Extent = std::array<Index, 2>;

/// The extent on the inputs of a layer; all of it where nothing is known of the layer.
Extent before(const Layer& layer, const Extent& after, const Shape& input) {
  const Extent all = input.dims.size() == 3 ? Extent{input.dims[1], input.dims[2]} : Extent{input.size(), 1};
  if (input.dims.size() != 3) return all;
  Extent extent = all;
  const LayerOptions options = layer.options();
  const auto at = [&](const char* name, std::size_t d, Index otherwise) {
    const auto found = options.find(name);
    return found == options.end() ? otherwise : static_cast<Index>(std::abs(found->second.at(d)));
  };
  const bool kernel = options.contains("kernel");
  for (std::size_t d = 0; d < 2; ++d) {
    if (kernel) {
      extent[d] = (after[d] - 1) * at("stride", d, 1) + (at("kernel", d, 1) - 1) * at("dilation", d, 1) + 1;
    } else if (layer.kind() == "slice") {
      extent[d] = (after[d] - 1) * at("step", d + 1, 1) + 1;
    } else if (layer.elementwise() || layer.kind() == "add" || layer.kind() == "scale" ||
               layer.kind() == "pad") {
      extent[d] = after[d];
    }
    extent[d] = std::min(extent[d], all[d]);
  }
  return extent;
}

}  // namespace

// On known inputs the enclosures are exact, but for flips, whose signs they forget.
bool GraphBackward::may_tighten(int k, const GraphCases& cases) const {
  if (!cases.enclosures->touched(k)) return false;
  const int layer = node(k).weights;
  const bool flips = layer >= 0 && moves_.allowance(layer).flips != nullptr;
  return flips || inputs_touched(k, *cases.enclosures);
}

void GraphBackward::tighten(GraphCases& cases, double work) const {
  std::vector<double> left(static_cast<std::size_t>(cases.enclosures->nominal(0).lower.rows()), work);
  for (int k = 0; k < static_cast<int>(network_.nodes().size()); ++k) {
    if (!may_tighten(k, cases)) continue;
    refresh(k, cases);
    measure(k, cases);
    find_plane(k, cases);
    if (!kinks_[static_cast<std::size_t>(k)].empty()) tighten_units(k, left, cases);
    draw(k, cases);
  }
}

// What tighter limits of its inputs make of a node's.
void GraphBackward::refresh(int k, GraphCases& cases) const {
  const auto& own = node(k);
  std::vector<const Interval*> in;
  for (const int input : own.inputs) in.push_back(&cases.of(input));
  Interval out;
  own.layer->interval(in, own.weights < 0 ? nullptr : &network_.weights(own.weights), box_of(k), out);
  for (const MatrixD* most : {&cases.enclosures->rounding(k), &cases.enclosures->moves_reach(k)}) {
    if (most->size() == 0) continue;
    const MatrixD by = *most + (magnitude(out) + *most) * 0x1p-51;
    out.lower -= by;
    out.upper += by;
  }
  Interval& limits = cases.limits[static_cast<std::size_t>(k)];
  limits.lower = limits.lower.cwiseMax(out.lower);
  limits.upper = limits.upper.cwiseMin(out.upper);
}

/// One side of a unit: the lower limit of sign * value.
struct GraphBackward::Side {
  Index unit;
  double sign;
  double enough = 0;  ///< where it gets past the kink
  double past = 0;    ///< how far it is behind the kink
};

// Whether the limits reach past the kink that is next to the unperturbed value on that side.
bool GraphBackward::look(int k, Index n, Side& side, const GraphCases& cases) const {
  const Interval& limits = cases.limits[static_cast<std::size_t>(k)];
  const Interval& nominal = cases.enclosures->nominal(k);
  const Index i = side.unit;
  const double value = side.sign * (0.5 * nominal.lower(n, i) + 0.5 * nominal.upper(n, i));
  side.enough = -infinite;
  for (const double kink : kinks_[static_cast<std::size_t>(k)])
    if (side.sign * kink <= value) side.enough = std::max(side.enough, side.sign * kink);
  side.past = side.enough - (side.sign > 0 ? limits.lower(n, i) : -limits.upper(n, i));
  return side.past > 0;
}

// Those that reach furthest first.
std::vector<GraphBackward::Side> GraphBackward::near_sides(int k, Index n, const GraphCases& cases) const {
  std::vector<Side> sides;
  for (Index i = 0; i < node(k).shape.size(); ++i) {
    for (const double sign : {1.0, -1.0}) {
      Side side{i, sign};
      if (look(k, n, side, cases)) sides.push_back(side);
    }
  }
  std::stable_sort(sides.begin(), sides.end(), [](const Side& a, const Side& b) { return a.past > b.past; });
  return sides;
}

void GraphBackward::narrow(int k, Index n, const Side& side, double limit, GraphCases& cases) const {
  Interval& limits = cases.limits[static_cast<std::size_t>(k)];
  double& lower = limits.lower(n, side.unit);
  double& upper = limits.upper(n, side.unit);
  if (side.sign > 0) {
    lower = std::max(lower, limit);
  } else {
    upper = std::min(upper, -limit);
  }
}

void GraphBackward::tighten_units(int k, std::vector<double>& work, GraphCases& cases) const {
  Effort effort;
  effort.cost = costs(k);
  for (Index n = 0; n < cases.limits[static_cast<std::size_t>(k)].lower.rows(); ++n) {
    double& left = work[static_cast<std::size_t>(n)];
    const auto first = near_sides(k, n, cases);
    tighten_sides(k, n, first, left, effort, cases);
    std::vector<Side> second;
    for (const Side& side : first) {
      Side own = side;
      Side other{side.unit, -side.sign};
      if (!look(k, n, own, cases) || look(k, n, other, cases)) continue;
      other.enough = infinite;
      second.push_back(other);
    }
    tighten_sides(k, n, second, left, effort, cases);
  }
}

void GraphBackward::tighten_sides(int k, Index n, const std::vector<Side>& sides, double& work,
                                  Effort& effort, GraphCases& cases) const {
  const auto total = static_cast<Index>(sides.size());
  for (Index begin = 0; begin < total && work > 0; begin += rows_) {
    const Index count = std::min(rows_, total - begin);
    MatrixD rows = MatrixD::Zero(count, node(k).shape.size());
    effort.enough.resize(count);
    effort.spent = 0;
    for (Index i = 0; i < count; ++i) {
      const Side& side = sides[static_cast<std::size_t>(begin + i)];
      rows(i, side.unit) = side.sign;
      effort.enough(i) = side.enough;
    }
    const VectorD low =
        minimum(k, std::move(rows), std::vector<Index>(static_cast<std::size_t>(count), n), cases, &effort);
    work -= effort.spent;
    for (Index i = 0; i < count; ++i) narrow(k, n, sides[static_cast<std::size_t>(begin + i)], low(i), cases);
  }
}

void GraphBackward::tighten_with_slopes(GraphCases& cases, double work, const SlopeSearch& search) const {
  std::vector<double> left(static_cast<std::size_t>(cases.enclosures->nominal(0).lower.rows()), work);
  // A value and its derivative are two passes.
  const double passes = 2 * search.steps;
  for (int k = 0; k < static_cast<int>(network_.nodes().size()); ++k) {
    const auto index = static_cast<std::size_t>(k);
    if (!may_tighten(k, cases)) continue;
    refresh(k, cases);
    measure(k, cases);
    find_plane(k, cases);
    if (!kinks_[index].empty()) {
      double row = 0;
      for (const double cost : costs(k)) row += cost;
      std::vector<Side> sides;
      std::vector<Index> at;
      for (Index n = 0; n < cases.limits[index].lower.rows(); ++n) {
        for (const Side& side : near_sides(k, n, cases)) {
          double& budget = left[static_cast<std::size_t>(n)];
          if (budget < 2 * passes * row) break;
          budget -= 2 * passes * row;
          for (const double sign : {side.sign, -side.sign}) {
            sides.push_back({side.unit, sign});
            at.push_back(n);
          }
        }
      }
      constexpr std::size_t chunk = 2048;
      for (std::size_t begin = 0; begin < sides.size(); begin += chunk) {
        const auto count = static_cast<Index>(std::min(chunk, sides.size() - begin));
        MatrixD rows = MatrixD::Zero(count, node(k).shape.size());
        for (Index i = 0; i < count; ++i) {
          const Side& side = sides[begin + static_cast<std::size_t>(i)];
          rows(i, side.unit) = side.sign;
        }
        const auto first = at.begin() + static_cast<std::ptrdiff_t>(begin);
        const VectorD low =
            best_minimum(k, rows, {first, first + static_cast<std::ptrdiff_t>(count)}, cases, search);
        for (Index i = 0; i < count; ++i) {
          const auto from = begin + static_cast<std::size_t>(i);
          narrow(k, at[from], sides[from], low(i), cases);
        }
      }
    }
    draw(k, cases);
  }
}

// Multiplications and additions of one unit's row in each node, on its way from node k back.
std::vector<double> GraphBackward::costs(int k) const {
  std::vector<std::optional<Extent>> reached(network_.nodes().size());
  std::vector<double> costs(network_.nodes().size(), 0.0);
  reached[static_cast<std::size_t>(k)] = Extent{1, 1};
  for (int j = k; j >= 0; --j) {
    const auto& extent = reached[static_cast<std::size_t>(j)];
    if (!extent) continue;
    const auto& own = node(j);
    for (const int i : own.inputs) {
      if (i < 0) continue;
      auto& to = reached[static_cast<std::size_t>(i)];
      const Extent next = before(*own.layer, *extent, node(i).shape);
      to = to ? Extent{std::max((*to)[0], next[0]), std::max((*to)[1], next[1])} : next;
    }
    double& cost = costs[static_cast<std::size_t>(j)];
    if (own.weights < 0) {
      cost = 2 * static_cast<double>(own.shape.size());
      continue;
    }
    // What moves a kernel takes two more products: the limits of what meets each entry.
    const bool kernel = shares_kernel(*own.layer);
    const bool moves = box_of(j) != nullptr || moves_.touch(own.weights);
    const double products = kernel && moves ? 3 : 1;
    const double places = kernel ? static_cast<double>((*extent)[0] * (*extent)[1]) : 1;
    cost = products * places * static_cast<double>(network_.weights(own.weights).weight.size());
  }
  return costs;
}

}  // namespace temblor
