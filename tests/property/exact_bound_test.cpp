#include "support/paths.hpp"
#include "support/tiny.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include <temblor/bounds/exact.hpp>
#include <temblor/network/runner.hpp>
#include <temblor/perturb/sample.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

MatrixD value_of(const std::string& bound, const Tiny& net, const ThreatSet& set) {
  const auto& entry = find_bound(bound);
  return entry.compute({net.network, net.data, set, false, checked_params(entry, {})}).value;
}

ExactWorst solve(const Tiny& net, const ThreatSet& set, const ExactOptions& options = {}) {
  ExactOptions all = options;
  all.all_pairs = true;
  return exact_worst(net.network, net.data, set, false, all);
}

/// A linf, relative or box set over some layers.
ThreatSet some_set(const Tiny& net, double severity, std::uint32_t kind, Stream& stream) {
  LayerSet layers;
  for (int m = 0; m < net.network.layers(); ++m) {
    if (kind % 4 != 3 || stream.below(2) == 1) layers.push_back(m);
  }
  if (layers.empty()) layers.push_back(net.network.layers() - 1);
  const bool biases = net.network.bias_count() > 0 && stream.below(2) == 1;
  if (kind % 3 == 0) return linf_set(net.network, severity, layers, biases);
  if (kind % 3 == 1) return relative_set(net.network, 5 * severity, layers, biases);
  std::vector<std::optional<Radius>> radius(static_cast<std::size_t>(net.network.layers()));
  for (const int m : layers) {
    const auto& weights = net.network.weights(m);
    Radius box;
    box.weight.resize(weights.weight.rows(), weights.weight.cols());
    for (auto& r : box.weight.reshaped<Eigen::RowMajor>()) r = 2 * severity * stream.uniform();
    radius[static_cast<std::size_t>(m)] = std::move(box);
  }
  return box_set(net.network, severity, std::move(radius), "box");
}

/// The worst pair margin as a mixed-integer program in the usual big-M form, every hidden unit with a
/// decision of its own; written from the reference network alone.
class Program {
 public:
  Program(const Tiny& net, const ThreatSet& set, Index n, Index rival) {
    const auto base = reference(net.network);
    const auto image = image_of(net.data, n);
    const auto label = static_cast<std::size_t>(net.data.labels[static_cast<std::size_t>(n)]);
    text_.precision(17);
    std::vector<double> low, high;  // of the activations below
    for (std::size_t m = 0; m < base.size(); ++m) {
      const auto& layer = base[m];
      const auto& radius = set.radius[m];
      const auto of = [&](std::size_t i, std::size_t j) {
        if (!radius) return 0.0;
        if (radius->weight.size() == 0) return radius->uniform;
        return radius->weight(static_cast<Index>(i), static_cast<Index>(j));
      };
      const auto bias_of = [&](std::size_t i) {
        if (!radius) return 0.0;
        return radius->bias.size() == 0 ? radius->bias_uniform : radius->bias(static_cast<Index>(i));
      };
      const bool top = m + 1 == base.size();
      std::vector<double> low_here, high_here;
      for (std::size_t i = 0; i < layer.weight.size(); ++i) {
        if (top && i != label && i != static_cast<std::size_t>(rival)) continue;
        const std::string p = "p" + std::to_string(m) + "_" + std::to_string(i);
        const double b = static_cast<double>(layer.bias[i]);
        double l = b - bias_of(i), u = b + bias_of(i);
        for (const int side : {-1, 1}) {
          double constant = b + side * bias_of(i);
          text_ << ' ' << p;
          for (std::size_t j = 0; j < layer.weight[i].size(); ++j) {
            const auto w = static_cast<double>(layer.weight[i][j]);
            if (m == 0 && set.input > 0) {
              // x = q - r, |x| = q + r, one of them 0.
              const double own = w + side * of(i, j), other = w - side * of(i, j);
              text_ << (own < 0 ? " + " : " - ") << std::abs(own) << " q" << j;
              text_ << (other < 0 ? " - " : " + ") << std::abs(other) << " r" << j;
              const auto [from, to] = ends(net, set, n, static_cast<Index>(j));
              const double a = w * from + side * of(i, j) * std::abs(from);
              const double c = w * to + side * of(i, j) * std::abs(to);
              (side < 0 ? l : u) += side < 0 ? std::min(a, c) : std::max(a, c);
              continue;
            }
            if (m == 0) {
              const auto x = static_cast<double>(image[j]);
              constant += w * x + side * of(i, j) * std::abs(x);
              (side < 0 ? l : u) += w * x + side * of(i, j) * std::abs(x);
              continue;
            }
            const double a = w + side * of(i, j);
            text_ << (a < 0 ? " + " : " - ") << std::abs(a) << " z" << m - 1 << '_' << j;
            (side < 0 ? l : u) += std::min(a * low[j], a * high[j]) * (side < 0 ? 1 : 0) +
                                  std::max(a * low[j], a * high[j]) * (side < 0 ? 0 : 1);
          }
          text_ << (side < 0 ? " >= " : " <= ") << constant << '\n';
        }
        free_ += " " + p + " free\n";
        if (top) continue;
        l -= 1e-3;
        u += 1e-3;
        low_here.push_back(std::max(l, 0.0));
        high_here.push_back(std::max(u, 0.0));
        const std::string z = "z" + std::to_string(m) + "_" + std::to_string(i);
        const std::string d = "d" + std::to_string(m) + "_" + std::to_string(i);
        const double least = std::max(-l, 0.0) + 1, most = std::max(u, 0.0) + 1;
        text_ << ' ' << z << " - " << p << " >= 0\n";
        text_ << ' ' << z << " - " << p << " + " << least << ' ' << d << " <= " << least << '\n';
        text_ << ' ' << z << " - " << most << ' ' << d << " <= 0\n";
        binary_ += " " + d + "\n";
      }
      low = low_here;
      high = high_here;
    }
    for (std::size_t j = 0; set.input > 0 && j < image.size(); ++j) {
      const std::string k = std::to_string(j);
      const auto [from, to] = ends(net, set, n, static_cast<Index>(j));
      text_ << " q" << k << " - r" << k << " >= " << from << "\n q" << k << " - r" << k << " <= " << to
            << '\n';
      text_ << " q" << k << " - " << std::max(to, 0.0) << " e" << k << " <= 0\n";
      text_ << " r" << k << " + " << std::max(-from, 0.0) << " e" << k << " <= " << std::max(-from, 0.0)
            << '\n';
      binary_ += " e" + k + "\n";
    }
    const std::string top = std::to_string(base.size() - 1);
    goal_ = " p" + top + "_" + std::to_string(label) + " - p" + top + "_" + std::to_string(rival);
  }

  /// Its minimum as CBC finds it.
  double solve(const TemporaryDirectory& directory) const {
    const std::string program = directory.file("program.lp"), solution = directory.file("solution.txt");
    std::ofstream(program) << "Minimize\n obj:" << goal_ << "\nSubject To\n"
                           << text_.str() << "Bounds\n"
                           << free_ << "Binaries\n"
                           << binary_ << "End\n";
    const std::string command = "cbc " + program +
                                " ratioGap 0 allowableGap 0 integerTolerance 1e-8 preprocess off solve "
                                "solution " +
                                solution + " > " + directory.file("log.txt") + " 2>&1";
    REQUIRE(std::system(command.c_str()) == 0);
    std::ifstream in(solution);
    std::string words;
    std::getline(in, words);
    INFO(words);
    REQUIRE(words.find("Optimal") == 0);
    return std::stod(words.substr(words.rfind(' ')));
  }

 private:
  /// Of value j of a moving image.
  static std::pair<double, double> ends(const Tiny& net, const ThreatSet& set, Index n, Index j) {
    const auto x = static_cast<double>(net.data.images(n, j));
    if (net.data.least.size() == 0) return {x - set.input, x + set.input};
    return {std::max(x - set.input, static_cast<double>(net.data.least(j))),
            std::min(x + set.input, static_cast<double>(net.data.most(j)))};
  }

  std::ostringstream text_;
  std::string free_, binary_, goal_;
};

double clean_margin(const Tiny& net, Index n, Index rival) {
  const auto f = reference_logits(reference(net.network), image_of(net.data, n), "relu");
  return static_cast<double>(f[static_cast<std::size_t>(net.data.labels[static_cast<std::size_t>(n)])] -
                             f[static_cast<std::size_t>(rival)]);
}

void agree_with_solver(std::uint32_t first, std::uint32_t last, bool image_moves) {
  if (std::system("command -v cbc > /dev/null 2>&1") != 0) {
    WARN("skipped: the program cbc (Debian package coinor-cbc) is missing");
    return;
  }
  const TemporaryDirectory directory;
  double branched = 0;
  double beyond_linear = 0;
  for (std::uint32_t t = first; t < last; ++t) {
    Stream stream(71, {1, t, 0});
    const std::vector<std::vector<int>> shapes{{5, 6, 6, 3}, {4, 6, 5, 5, 3}, {6, 8, 3}, {4, 5, 4, 4, 4, 3}};
    Tiny net = tiny(stream, {shapes[t % 4], "relu", t % 2 == 0, t % 5 < 2, 1});
    ThreatSet set = some_set(net, 0.02 + 0.2 * stream.uniform(), t, stream);
    if (image_moves) {
      set = with_input(std::move(set), 0.05 + 0.4 * stream.uniform());
      if (t % 5 >= 2) {
        net.data.least = Vector::Zero(net.data.images.cols());
        net.data.most = Vector::Ones(net.data.images.cols());
      }
    }
    const ExactWorst found = solve(net, set);
    const MatrixD linear = value_of("linear", net, set);
    branched += found.nodes.maxCoeff();
    for (Index j = 0; j < 3; ++j) {
      if (j == net.data.labels[0]) continue;
      const double truth = clean_margin(net, 0, j) - Program(net, set, 0, j).solve(directory);
      INFO("network " << t << ", class " << j << ", " << set.key << " nodes " << found.nodes(0, j) << " open "
                      << found.open(0, j) << " attained " << found.values.attained(0, j));
      CHECK(found.values.value(0, j) == Approx(truth).epsilon(1e-5).margin(1e-5));
      CHECK(found.values.attained(0, j) == Approx(truth).epsilon(1e-5).margin(1e-5));
      beyond_linear = std::max(beyond_linear, linear(0, j) / truth);
    }
  }
  CHECK(branched > 30);
  CHECK(beyond_linear > 1.2);
}

}  // namespace

TEST_CASE("exact agrees with a general mixed-integer solver on random networks") {
  agree_with_solver(0, 24, false);
}

TEST_CASE("exact agrees with a general mixed-integer solver where the image moves too") {
  agree_with_solver(24, 48, true);
}

TEST_CASE(
    "exact: attained meets value, both below linear-alpha and linear; a float pass confirms the worst") {
  for (std::uint32_t t = 0; t < 40; ++t) {
    Stream stream(72, {2, t, 0});
    const Tiny net = tiny(stream, {{6, 12, 10, 8, 4}, "relu", t % 2 == 0, t % 3 == 0, 3});
    const ThreatSet set = some_set(net, 0.05, t, stream);
    const ExactWorst found = solve(net, set);
    const MatrixD alpha = value_of("linear-alpha", net, set);
    const MatrixD linear = value_of("linear", net, set);
    const MatrixD worst_only = exact_worst(net.network, net.data, set, false, {}).values.value;
    const SampleForward forward(net.network, found.worst);
    SampleForward::Buffers buffers;
    CHECK(found.open.maxCoeff() == 0);
    for (Index n = 0; n < 3; ++n) {
      const Index label = net.data.labels[static_cast<std::size_t>(n)];
      double lowest = std::numeric_limits<double>::infinity();
      double lowest_worst = lowest;
      for (Index j = 0; j < 4; ++j) {
        if (j == label) continue;
        const double value = found.values.value(n, j);
        const double attained = found.values.attained(n, j);
        INFO("network " << t << ", image " << n << ", class " << j << ", " << set.key);
        CHECK(attained <= value);
        CHECK(attained >= value - 2e-6 * (1 + value));
        CHECK(value <= alpha(n, j) * (1 + 1e-9) + 1e-9);
        CHECK(alpha(n, j) <= linear(n, j) * (1 + 1e-9));
        CHECK(worst_only(n, j) >= value - 2e-6 * (1 + value));
        lowest = std::min(lowest, clean_margin(net, n, j) - value);
        lowest_worst = std::min(lowest_worst, clean_margin(net, n, j) - worst_only(n, j));
      }
      // Leaving out pairs that cannot be the worst one leaves the worst margin as it is.
      CHECK(lowest_worst == Approx(lowest).epsilon(1e-5).margin(1e-5));
      const Matrix& logits = forward.run(n, net.data.images.row(n).data(), buffers);
      double reached = std::numeric_limits<double>::infinity();
      for (Index j = 0; j < 4; ++j) {
        if (j != label) reached = std::min(reached, static_cast<double>(logits(0, label) - logits(0, j)));
      }
      CHECK(reached == Approx(lowest).epsilon(1e-4).margin(1e-4));
    }
  }
}

TEST_CASE("exact: with few nodes the bracket is wider and still right") {
  double open = 0;
  for (std::uint32_t t = 0; t < 20; ++t) {
    Stream stream(73, {3, t, 0});
    const Tiny net = tiny(stream, {{8, 14, 12, 10, 4}, "relu", false, false, 2});
    const ThreatSet set = linf_set(net.network, 0.1, {0, 1, 2, 3}, false);
    const ExactWorst truth = solve(net, set);
    MatrixD last = MatrixD::Constant(2, 4, std::numeric_limits<double>::infinity());
    for (const std::int64_t nodes : {1, 4, 16}) {
      ExactOptions few;
      few.nodes = nodes;
      const ExactWorst bracket = solve(net, set, few);
      CHECK((bracket.values.value.array() >= truth.values.attained.array()).all());
      CHECK((bracket.values.attained.array() <= truth.values.value.array()).all());
      CHECK(bracket.nodes.maxCoeff() <= static_cast<double>(nodes));
      CHECK((bracket.values.value.array() <= last.array() + 1e-9).all());
      last = bracket.values.value;
      open += bracket.open.sum();
    }
  }
  CHECK(open > 20);
}

TEST_CASE("exact with float32 arithmetic: one search, value as without, the rest beside linear's") {
  for (std::uint32_t t = 0; t < 10; ++t) {
    Stream stream(74, {4, t, 0});
    const Tiny net = tiny(stream, {{6, 10, 8, 6, 3}, "relu", t % 2 == 0, t % 3 == 0, 2});
    const ThreatSet set = linf_set(net.network, 0.03, {0, 1, 2, 3}, false);
    ExactOptions all;
    all.all_pairs = true;
    const BoundValues plain = exact_worst(net.network, net.data, set, false, all).values;
    const BoundValues both = exact_worst(net.network, net.data, set, true, all).values;
    CHECK(both.value.isApprox(plain.value, 1e-5));
    CHECK((both.arithmetic.array() >= 0).all());
    CHECK(both.arithmetic.maxCoeff() > 0);
    CHECK(both.arithmetic.maxCoeff() < 1e-4);
  }
}
