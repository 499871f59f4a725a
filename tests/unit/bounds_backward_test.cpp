#include <catch2/catch.hpp>
#include <support/tiny.hpp>

#include <temblor/bounds/slopes.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

struct Setting {
  Tiny net;
  ThreatSet set;
  BoxProblem problem;
  Backward backward;
  Cases cases;

  Setting(Stream& stream, const std::vector<int>& sizes, double eps)
      : net(tiny(stream, {sizes, "relu", true, true, 6})),
        set(linf_set(net.network, eps, parse_layers("all", net.network), true)),
        problem{net.network, net.data, set.radius},
        backward(problem),
        cases(backward.cases(net.network, Enclosures(problem, 0, net.data.size(),
                                                     static_cast<int>(net.network.nodes().size()) - 1))) {
    for (std::size_t m = 1; m < backward.hidden(); ++m) backward.tighten(m, cases);
  }

  /// One row an image: the label's logit less that of the next class.
  Forms forms() const {
    const Index classes = net.network.classes();
    MatrixD logits = MatrixD::Zero(net.data.size(), classes);
    std::vector<Index> at;
    for (Index n = 0; n < logits.rows(); ++n) {
      const Index y = net.data.labels[static_cast<std::size_t>(n)];
      logits(n, y) = 1;
      logits(n, (y + 1) % classes) = -1;
      at.push_back(n);
    }
    return backward.logit_forms(logits, at, cases);
  }
  VectorD minimum(const RowChoices& choices = {}, Trace* trace = nullptr) const {
    Forms start = forms();
    return backward.minimum(start, backward.hidden() - 1, cases, &choices, trace);
  }
  /// The slopes of the cases, as choices of each row.
  RowChoices slopes(Stream& stream) const {
    RowChoices choices;
    for (std::size_t m = 0; m < backward.hidden(); ++m) {
      MatrixD below = cases.lines[m].below;
      for (Index i = 0; i < below.size(); ++i) {
        if (cases.limits[m].lower.data()[i] < 0 && cases.limits[m].upper.data()[i] > 0)
          below.data()[i] = stream.uniform();
      }
      choices.below.push_back(std::move(below));
      choices.shift.push_back(MatrixD::Zero(net.data.size(), backward.units(m)));
    }
    return choices;
  }
};

}  // namespace

TEST_CASE("choices of a row that repeat its case's lines change nothing") {
  Stream stream(41, {1, 0, 0});
  const Setting s(stream, {5, 8, 7, 6, 4}, 0.03);
  RowChoices choices;
  for (const auto& line : s.cases.lines) choices.below.push_back(line.below);
  CHECK(s.minimum() == s.minimum(choices));
}

TEST_CASE("the minimiser of a backward pass is its derivative by slopes and shifts") {
  int unstable = 0;
  for (std::uint32_t t = 0; t < 20; ++t) {
    Stream stream(42, {2, t, 0});
    const Setting s(stream, {5, 8, 7, 6, 4}, 0.03);
    RowChoices choices = s.slopes(stream);
    Trace trace;
    const VectorD low = s.minimum(choices, &trace);
    std::vector<Index> at;
    for (Index n = 0; n < low.size(); ++n) at.push_back(n);
    const auto p = s.backward.minimiser(trace, at, s.cases, &choices);
    for (std::size_t m = 1; m < p.size(); ++m) {
      for (Index k = 0; k < p[m].cols(); ++k) {
        const double h = 1e-7;
        for (const bool by_shift : {false, true}) {
          MatrixD& choice = by_shift ? choices.shift[m] : choices.below[m];
          const VectorD saved = choice.col(k);
          choice.col(k).array() += h;
          const VectorD up = s.minimum(choices);
          choice.col(k).array() -= 2 * h;
          const VectorD down = s.minimum(choices);
          choice.col(k) = saved;
          for (Index n = 0; n < low.size(); ++n) {
            const double expected = by_shift ? p[m](n, k) : std::max(trace.v[m](n, k), 0.0) * p[m](n, k);
            const double left = (low(n) - down(n)) / h;
            const double right = (up(n) - low(n)) / h;
            if (std::abs(left - right) > 1e-4) continue;  // a kink
            INFO("layer " << m << " unit " << k << " row " << n << (by_shift ? " shift" : " slope"));
            CHECK((up(n) - down(n)) / (2 * h) == Approx(expected).margin(2e-6).epsilon(1e-5));
            unstable += !by_shift && expected != 0;
          }
        }
      }
    }
  }
  CHECK(unstable > 200);
}

TEST_CASE("subproblems of one image run as one batch, each below every member that belongs to it") {
  double gain = 0;
  int members = 0;
  for (std::uint32_t t = 0; t < 60; ++t) {
    Stream stream(43, {3, t, 0});
    const Setting s(stream, {3, 4, 4, 3}, 0.3);
    const VectorD whole = s.minimum();
    const auto base = reference(s.net.network);
    const auto parameters = free_parameters(s.net.network, s.set);
    const Index classes = s.net.network.classes();
    for (Index n = 0; n < whole.size(); ++n) {
      const Index layer = static_cast<Index>(stream.below(2));
      const auto m = static_cast<std::size_t>(layer);
      for (Index k = 0; k < s.backward.units(m); ++k) {
        if (!(s.cases.limits[m].lower(n, k) < 0 && s.cases.limits[m].upper(n, k) > 0)) continue;
        Cases halves;  // p_k <= 0, p_k >= 0
        for (const auto& limits : s.cases.limits) {
          const std::vector<Index> twice{n, n};
          halves.limits.push_back({limits.lower(twice, Eigen::all), limits.upper(twice, Eigen::all)});
        }
        halves.limits[m].upper(0, k) = 0;
        halves.limits[m].lower(1, k) = 0;
        halves.lines.resize(s.backward.hidden());
        for (std::size_t h = 0; h < s.backward.hidden(); ++h) halves.draw(h);
        RowChoices choices;
        for (std::size_t h = 0; h < s.backward.hidden(); ++h)
          choices.shift.push_back(MatrixD::Zero(2, s.backward.units(h)));
        choices.shift[m](0, k) = 0.1 * stream.uniform();
        choices.shift[m](1, k) = -0.1 * stream.uniform();
        const auto y = static_cast<Index>(s.net.data.labels[static_cast<std::size_t>(n)]);
        MatrixD logits = MatrixD::Zero(2, classes);
        logits.col(y).array() = 1;
        logits.col((y + 1) % classes).array() = -1;
        Forms forms = s.backward.logit_forms(logits, {0, 1}, halves);
        const VectorD low = s.backward.minimum(forms, s.backward.hidden() - 1, halves, &choices);
        gain = std::max(gain, low.minCoeff() - whole(n));

        std::vector<Real> position(parameters.size());
        for (int trial = 0; trial < 20; ++trial) {
          for (auto& x : position) x = stream.below(2) == 0 ? -1 : 1;
          const auto moved = member(base, parameters, position);
          const ReferenceNetwork front(moved.begin(), moved.begin() + layer + 1);
          const auto image = image_of(s.net.data, n);
          const auto p = reference_logits(front, image, "relu")[static_cast<std::size_t>(k)];
          const auto f = reference_logits(moved, image, "relu");
          const auto margin = f[static_cast<std::size_t>(y)] - f[static_cast<std::size_t>((y + 1) % classes)];
          INFO("network " << t << " image " << n << " layer " << layer << " unit " << k);
          CHECK(static_cast<Real>(low(p <= 0 ? 0 : 1)) <= margin);
          ++members;
        }
      }
    }
  }
  CHECK(gain > 0);
  CHECK(members > 5000);
}

TEST_CASE("sought slopes are never below the cases' own, and each row is sought on its own") {
  double gain = 0;
  for (std::uint32_t t = 0; t < 10; ++t) {
    Stream stream(44, {4, t, 0});
    Setting s(stream, {5, 12, 12, 12, 4}, 0.08);
    const std::size_t top = s.backward.hidden() - 1;
    const VectorD own = s.minimum();
    const VectorD best = best_minimum(s.backward, s.forms(), top, s.cases, {20});
    CHECK((best.array() >= own.array()).all());
    CHECK(best_minimum(s.backward, s.forms(), top, s.cases, {1}) == own);
    gain = std::max(gain, (best - own).maxCoeff());

    // Repeated until several tasks share them: the same rows, the same results.
    const Forms one = s.forms();
    Forms many(one.rows() * 100, one.v.cols());
    for (Index i = 0; i < many.rows(); ++i) {
      many.v.row(i) = one.v.row(i % one.rows());
      many.constant(i) = one.constant(i % one.rows());
      many.size(i) = one.size(i % one.rows());
      many.at[static_cast<std::size_t>(i)] = one.at[static_cast<std::size_t>(i % one.rows())];
    }
    const VectorD repeated = best_minimum(s.backward, many, top, s.cases, {20});
    for (Index i = 0; i < many.rows(); ++i) CHECK(repeated(i) == Approx(best(i % one.rows())).epsilon(1e-9));

    const Cases before = s.cases;
    tighten_with_slopes(s.backward, top, s.cases, {20});
    CHECK((s.cases.limits[top].lower.array() >= before.limits[top].lower.array()).all());
    CHECK((s.cases.limits[top].upper.array() <= before.limits[top].upper.array()).all());
    CHECK((s.cases.limits[top].upper - s.cases.limits[top].lower).sum() <
          (before.limits[top].upper - before.limits[top].lower).sum());
  }
  CHECK(gain > 0.01);
}
