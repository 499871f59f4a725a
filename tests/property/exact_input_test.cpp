#include "support/tiny.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <catch2/catch.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/bounds/exact.hpp>
#include <temblor/perturb/sample.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

ExactWorst solve(const Tiny& net, const ThreatSet& set, bool arithmetic = false) {
  ExactOptions all;
  all.all_pairs = true;
  return exact_worst(net.network, net.data, set, arithmetic, all);
}

MatrixD value_of(const std::string& bound, const Tiny& net, const ThreatSet& set) {
  const auto& entry = find_bound(bound);
  return entry.compute({net.network, net.data, set, false, checked_params(entry, {})}).value;
}

void state_range(Tiny& net) {
  net.data.least = Vector::Zero(net.data.images.cols());
  net.data.most = Vector::Ones(net.data.images.cols());
}

Real pair_margin(const Tiny& net, const ThreatSet& set, const std::vector<Real>& image,
                 const std::vector<Real>& slack, std::size_t label, std::size_t rival) {
  const auto base = reference(net.network);
  std::vector<Real> z = image;
  std::size_t at = 0;
  for (std::size_t m = 0; m < base.size(); ++m) {
    std::vector<Real> p = base[m].bias;
    const bool top = m + 1 == base.size();
    for (std::size_t i = 0; i < p.size(); ++i) {
      const Real s = top ? (i == label ? -1 : 1) : slack[at++];
      for (std::size_t j = 0; j < z.size(); ++j) {
        p[i] += base[m].weight[i][j] * z[j] + static_cast<Real>(set.radius[m]->uniform) * s * std::abs(z[j]);
      }
      if (!top) p[i] = std::max<Real>(p[i], 0);
    }
    z = p;
  }
  return z[label] - z[rival];
}

/// The lowest pair margin on a grid of images and slack, then by ever smaller steps from the best point.
Real lowest_on_grid(const Tiny& net, const ThreatSet& set, Index n, std::size_t label, std::size_t rival,
                    std::size_t units) {
  const auto centre = image_of(net.data, n);
  const auto eps = static_cast<Real>(set.input);
  const int points = 9;
  std::vector<Real> image = centre;
  std::vector<Real> slack(units, 0);
  std::vector<std::pair<Real, std::vector<Real>>> found;
  const auto at = [&](const std::vector<Real>& numbers) {
    for (std::size_t k = 0; k < image.size(); ++k) image[k] = centre[k] + eps * numbers[k];
    std::copy(numbers.begin() + static_cast<std::ptrdiff_t>(image.size()), numbers.end(), slack.begin());
    return pair_margin(net, set, image, slack, label, rival);
  };
  std::vector<int> digit(image.size() + units, 0);
  std::vector<Real> numbers(digit.size());
  while (true) {
    for (std::size_t k = 0; k < digit.size(); ++k) {
      const int most = k < image.size() ? points : 3;
      numbers[k] = static_cast<Real>(2 * digit[k]) / (most - 1) - 1;
    }
    found.emplace_back(at(numbers), numbers);
    std::size_t k = 0;
    while (k < digit.size() && ++digit[k] == (k < image.size() ? points : 3)) digit[k++] = 0;
    if (k == digit.size()) break;
  }
  std::partial_sort(found.begin(), found.begin() + 12, found.end());
  Real lowest = found.front().first;
  Stream stream(9, {1, static_cast<std::uint32_t>(n), 0});
  for (int begin = 0; begin < 12; ++begin) {
    auto [now, best] = found[static_cast<std::size_t>(begin)];
    Real size = 0.3L;
    for (int step = 0; step < 4000; ++step) {
      numbers = best;
      for (auto& number : numbers) {
        const Real by = size * (2 * static_cast<Real>(stream.uniform()) - 1);
        if (stream.below(2) == 0) number = std::clamp<Real>(number + by, -1, 1);
      }
      const Real margin = at(numbers);
      size *= margin < now ? 1.2L : 0.995L;
      if (margin >= now) continue;
      now = margin;
      best = numbers;
    }
    lowest = std::min(lowest, now);
  }
  return lowest;
}

}  // namespace

TEST_CASE("exact with a moving image is what a dense search of images and slack finds") {
  double crossing = 0;
  for (std::uint32_t t = 0; t < 10; ++t) {
    Stream stream(171, {1, t, 0});
    const bool deep = t % 2 == 1;
    const std::vector<int> sizes = deep ? std::vector<int>{2, 2, 2, 2} : std::vector<int>{2, 4, 2};
    const Tiny net = tiny(stream, {sizes, "relu", t % 3 == 0, true, 1});
    const ThreatSet set = with_input(linf_set(net.network, 0.05 + 0.2 * stream.uniform(),
                                              deep ? LayerSet{0, 1, 2} : LayerSet{0, 1}, false),
                                     0.2 + 0.5 * stream.uniform());
    crossing +=
        (net.data.images.row(0).cwiseAbs().array() < static_cast<float>(set.input)).count() > 0 ? 1 : 0;
    const ExactWorst found = solve(net, set);
    const auto label = static_cast<std::size_t>(net.data.labels[0]);
    const std::size_t rival = 1 - label;
    const std::vector<Real> none(4, 0);
    ThreatSet nothing = set;
    for (auto& radius : nothing.radius) radius->uniform = 0;
    const Real clean = pair_margin(net, nothing, image_of(net.data, 0), none, label, rival);
    const Real truth = clean - lowest_on_grid(net, set, 0, label, rival, 4);
    const double value = found.values.value(0, static_cast<Index>(rival));
    INFO("network " << t << ", truth " << static_cast<double>(truth) << ", nodes " << found.nodes.maxCoeff());
    CHECK(value >= static_cast<double>(truth) - 1e-12);
    CHECK(value <= static_cast<double>(truth) * 1.002 + 1e-3);
    CHECK(found.open.maxCoeff() == 0);
  }
  CHECK(crossing > 4);
}

TEST_CASE("exact with a moving image: attained meets value, a float pass of the moved image confirms it") {
  double tighter = 0;
  for (std::uint32_t t = 0; t < 30; ++t) {
    Stream stream(172, {2, t, 0});
    Tiny net = tiny(stream, {{6, 10, 8, 6, 4}, "relu", t % 2 == 0, t % 3 == 0, 3});
    if (t % 3 == 1) state_range(net);
    const LayerSet layers = t % 4 == 0 ? LayerSet{1, 2} : LayerSet{0, 1, 2, 3};
    const ThreatSet box = t % 5 == 0 ? relative_set(net.network, 0.1, layers, t % 2 == 0)
                                     : linf_set(net.network, t % 7 == 0 ? 0 : 0.02, layers, t % 2 == 0);
    const double eps = 0.03 + 0.1 * stream.uniform();
    const ThreatSet set = with_input(box, eps);
    const ExactWorst found = solve(net, set);
    const MatrixD alpha = value_of("linear-alpha", net, set);
    const MatrixD linear = value_of("linear", net, set);
    const MatrixD still = solve(net, box).values.value;
    CHECK(found.open.maxCoeff() == 0);
    const SampleForward forward(net.network, found.worst);
    SampleForward::Buffers buffers;
    const auto [least, most] = image_ends(net.data, 0, 3, eps);
    REQUIRE((found.worst.images.array() >= least.array()).all());
    REQUIRE((found.worst.images.array() <= most.array()).all());
    const auto clean = [&](Index n, Index j) {
      const auto f = reference_logits(reference(net.network), image_of(net.data, n), "relu");
      return static_cast<double>(f[static_cast<std::size_t>(net.data.labels[static_cast<std::size_t>(n)])] -
                                 f[static_cast<std::size_t>(j)]);
    };
    for (Index n = 0; n < 3; ++n) {
      const Index label = net.data.labels[static_cast<std::size_t>(n)];
      double lowest = std::numeric_limits<double>::infinity();
      double reached = lowest;
      const Matrix& logits = forward.run(n, net.data.images.row(n).data(), buffers);
      for (Index j = 0; j < 4; ++j) {
        if (j == label) continue;
        const double value = found.values.value(n, j);
        INFO("network " << t << ", image " << n << ", class " << j << ", " << set.key);
        CHECK(found.values.attained(n, j) <= value);
        CHECK(found.values.attained(n, j) >= value - 2e-6 * (1 + value));
        CHECK(value >= still(n, j) - 2e-6 * (1 + value));
        CHECK(value <= alpha(n, j) * (1 + 1e-9) + 1e-8);
        CHECK(alpha(n, j) <= linear(n, j) * (1 + 1e-9) + 1e-12);
        tighter = std::max(tighter, linear(n, j) / std::max(value, 1e-3));
        lowest = std::min(lowest, clean(n, j) - value);
        reached = std::min(reached, static_cast<double>(logits(0, label) - logits(0, j)));
      }
      CHECK(reached == Approx(lowest).epsilon(1e-4).margin(1e-4));
    }
  }
  CHECK(tighter > 1.2);
}

TEST_CASE("exact: an image box of radius 0 changes nothing") {
  for (std::uint32_t t = 0; t < 6; ++t) {
    Stream stream(173, {3, t, 0});
    const Tiny net = tiny(stream, {{5, 8, 7, 3}, "relu", t % 2 == 0, t % 3 == 0, 2});
    const ThreatSet set = linf_set(net.network, 0.05, {0, 1, 2}, false);
    const ExactWorst one = solve(net, set);
    const ExactWorst other = solve(net, with_input(set, 0));
    CHECK(one.values.value == other.values.value);
    CHECK(one.values.attained == other.values.attained);
    // A box so small that rounding counts: nearly the same, never less.
    const ExactWorst tiny_box = solve(net, with_input(set, 1e-12));
    CHECK((tiny_box.values.value - one.values.value).cwiseAbs().maxCoeff() < 5e-6);
    CHECK((tiny_box.values.value - one.values.attained).minCoeff() >= 0);
  }
}

TEST_CASE("exact with a moving image and float32 arithmetic: the search is the same, the rest is small") {
  for (std::uint32_t t = 0; t < 8; ++t) {
    Stream stream(174, {4, t, 0});
    const Tiny net = tiny(stream, {{5, 8, 6, 3}, "relu", t % 2 == 0, t % 3 == 0, 2});
    const ThreatSet set = with_input(linf_set(net.network, t % 4 == 0 ? 0 : 0.03, {0, 1, 2}, false), 0.05);
    const BoundValues plain = solve(net, set).values;
    const BoundValues both = solve(net, set, true).values;
    CHECK(both.value.isApprox(plain.value, 1e-5));
    CHECK((both.arithmetic.array() >= 0).all());
    CHECK(both.arithmetic.maxCoeff() > 0);
    CHECK(both.arithmetic.maxCoeff() < 1e-4);
  }
}

TEST_CASE("attacks with a moving image: exact is the worst, a short search brings weight-pgd there") {
  for (std::uint32_t t = 0; t < 6; ++t) {
    Stream stream(175, {5, t, 0});
    Tiny net = tiny(stream, {t == 5 ? std::vector<int>{6, 3} : std::vector<int>{6, 10, 8, 3}, "relu",
                             t % 2 == 0, t % 3 == 0, 4});
    if (t % 3 == 1) state_range(net);
    const LayerSet layers = t == 5 ? LayerSet{0} : LayerSet{0, 1, 2};
    const auto margins = [&](const std::string& name, const std::map<std::string, std::string>& given) {
      const auto& entry = find_attack(name);
      const Params params{"attack '" + name + "'", entry.params, given};
      const AttackContext context{net.network, net.data, find_format("fp32"), layers, 0.03, params};
      const auto attack = entry.make(context);
      const auto perturbation = attack->perturb(Stream(3, {t, 0, 0}));
      const auto& delta = std::get<SampleDelta>(perturbation.delta);
      const auto [least, most] = image_ends(net.data, 0, 4, 0.05);
      REQUIRE((delta.images.array() >= least.array()).all());
      REQUIRE((delta.images.array() <= most.array()).all());
      const SampleForward forward(net.network, delta);
      SampleForward::Buffers buffers;
      VectorD lowest = VectorD::Constant(4, std::numeric_limits<double>::infinity());
      for (Index n = 0; n < 4; ++n) {
        const Matrix& logits = forward.run(n, net.data.images.row(n).data(), buffers);
        const Index label = net.data.labels[static_cast<std::size_t>(n)];
        for (Index j = 0; j < 3; ++j) {
          if (j != label)
            lowest(n) = std::min(lowest(n), static_cast<double>(logits(0, label) - logits(0, j)));
        }
      }
      return lowest;
    };
    const VectorD truth = margins("exact", {{"input-eps", "0.05"}});
    const std::map<std::string, std::string> pgd{
        {"scope", "sample"}, {"input-eps", "0.05"}, {"steps", "30"}, {"target", "all"}};
    const VectorD plain = margins("weight-pgd", pgd);
    auto with_search = pgd;
    with_search["search"] = "200";
    const VectorD searched = margins("weight-pgd", with_search);
    INFO("network " << t);
    CHECK((plain - truth).minCoeff() > -1e-4);
    CHECK((searched - truth).cwiseAbs().maxCoeff() < 1e-4);
    CHECK((plain - searched).minCoeff() > -1e-5);
  }
}
