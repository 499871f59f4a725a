#include <atomic>
#include <cmath>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/base/error.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/campaign/certify.hpp>
#include <temblor/evaluate/evaluator.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

CertifyAttack weight_pgd(const std::map<std::string, std::string>& more = {}) {
  const auto& entry = find_attack("weight-pgd");
  auto given = more;
  given.emplace("scope", "sample");
  given.emplace("steps", "20");
  return {&entry, Params("attack 'weight-pgd'", entry.params, given)};
}

/// A random network whose predictions are the labels, so that there is something to prove.
struct Problem {
  StoredNetwork stored;
  Dataset data;
  SetFamily family;

  explicit Problem(std::uint64_t seed, Index images = 40)
      : stored(store(random_network("6-9-7-4", seed, true), find_format("fp32"))),
        data(random_dataset(stored.network, images, seed)) {
    const Matrix clean = logits(stored.network, stored.network.view(), data.images);
    for (Index n = 0; n + 3 < images; ++n)  // the last three stay as they are: some are wrong
      data.labels[static_cast<std::size_t>(n)] = predict(clean.row(n).data(), clean.cols());
    family = {
        [this](double eps, const LayerSet& layers) { return linf_set(stored.network, eps, layers, false); },
        {"eps", "largest change", "", 0, 1e6, false}};
  }

  CertifyRequest request() const {
    return {.stored = stored,
            .data = data,
            .family = family,
            .layers = {{0, 1, 2}, {0}, {1}, {2}},
            .severities = {1e-3, 1e-2, 1e-1},
            .bounds = {{&find_bound("norm-product"), {}},
                       {&find_bound("interval"), {}},
                       {&find_bound("linear"), {}}},
            .attacks = {weight_pgd()},
            .grid = SeverityGrid::geometric(1e-6, 1, 0.02),
            .attack_radius = true};
  }
};

MatrixD float_pairs(const Problem& problem) {
  const Matrix clean = logits(problem.stored.network, problem.stored.network.view(), problem.data.images);
  MatrixD pairs = clean.cast<double>();
  for (Index n = 0; n < pairs.rows(); ++n)
    pairs.row(n) = pairs(n, problem.data.labels[static_cast<std::size_t>(n)]) - pairs.row(n).array();
  return pairs;
}

}  // namespace

TEST_CASE("certify: radii are proven themselves, and one step of the grid further they are not") {
  for (const bool arithmetic : {true, false}) {
    const Problem problem(3);
    auto request = problem.request();
    request.arithmetic = arithmetic;
    const auto result = certify(request);
    const auto& grid = *request.grid;
    const MatrixD pairs =
        arithmetic ? float_pairs(problem) : exact_margins(problem.stored.network, problem.data);
    Index inside = 0;
    for (std::size_t c = 0; c < request.layers.size(); ++c) {
      for (std::size_t b = 0; b < request.bounds.size(); ++b) {
        const auto proven_at = [&](double eps) {
          const auto set = problem.family.at(eps, request.layers[c]);
          auto values = request.bounds[b].entry->compute(
              {problem.stored.network, problem.data, set, arithmetic, request.bounds[b].params});
          if (arithmetic) values.value += values.arithmetic;
          return proven_labels(pairs, values.value, problem.data.labels);
        };
        const auto& radius = result.bounds[c][b].radius;
        for (std::size_t n = 0; n < radius.size(); n += 7) {
          if (radius[n] > 0) CHECK(proven_at(radius[n])[n]);
          const Index next = grid.last_up_to(radius[n]) + 1;
          if (next < grid.size()) CHECK_FALSE(proven_at(grid[next])[n]);
          if (radius[n] > 0 && next < grid.size()) ++inside;
        }
      }
    }
    CHECK(inside > 30);
  }
}

TEST_CASE("certify: counts and drops are those of the bounds, tighter bounds certify more") {
  const Problem problem(4);
  const auto request = problem.request();
  const auto result = certify(request);
  const MatrixD exact = exact_margins(problem.stored.network, problem.data);
  const auto rows = summarise(request, result);
  REQUIRE(rows.size() == 4 * 3 * 3);
  std::int64_t certified = 0;
  for (const auto& row : rows) {
    const auto set = problem.family.at(request.severities[row.severity], request.layers[row.layers]);
    const auto values =
        request.bounds[row.bound].entry->compute({problem.stored.network, problem.data, set, true, {}});
    const auto proven = proven_labels(exact, values.value, problem.data.labels);
    CHECK(row.certified == std::count(proven.begin(), proven.end(), true));
    const auto proven32 =
        proven_labels(float_pairs(problem), values.value + values.arithmetic, problem.data.labels);
    CHECK(row.certified_float32 == std::count(proven32.begin(), proven32.end(), true));
    CHECK(row.certified_float32 <= row.certified);
    CHECK(row.violated == 0);
    CHECK(row.standing >= row.certified_float32);
    CHECK(row.mean_attack <= row.mean_drop * (1 + 1e-6) + 1e-4);
    certified += row.certified_float32;
  }
  CHECK(certified > 0);
  for (std::size_t c = 0; c < request.layers.size(); ++c) {
    for (std::size_t n = 0; n < problem.data.labels.size(); ++n) {
      CHECK(result.bounds[c][0].radius[n] <= result.bounds[c][2].radius[n]);
      CHECK(result.bounds[c][1].radius[n] <= result.bounds[c][2].radius[n]);
    }
  }
}

TEST_CASE("certify: the attack's radius lies above the certified one, and below the drop that breaks it") {
  const Problem problem(5);
  const auto request = problem.request();
  const auto result = certify(request);
  std::int64_t met = 0, both = 0;
  for (std::size_t c = 0; c < request.layers.size(); ++c) {
    for (std::size_t b = 0; b < request.bounds.size(); ++b)
      CHECK(broken_radii(result.bounds[c][b], result.attacks[c]) == 0);
    for (std::size_t n = 0; n < result.margin.size(); ++n) {
      const double inner = result.bounds[c][2].radius[n], outer = result.attacks[c].radius[n];
      if (!(result.margin[n] > 0)) {
        CHECK(inner == 0);
        CHECK(outer == 0);
        continue;
      }
      CHECK(inner < outer);
      if (std::isfinite(outer) && inner > 0) ++both;
      if (std::isfinite(outer) && inner > 0.9 * outer) ++met;
    }
  }
  CHECK(both > 100);
  CHECK(met > 20);  // one layer alone: bound and attack meet
}

TEST_CASE("certify: a proof that an attack breaks is counted") {
  Certificate certificate;
  certificate.radius = {0.1, 0.2, 0, 0.3};
  Attacked attacked;
  attacked.radius = {0.2, 0.1, 0, 0.3};
  CHECK(broken_radii(certificate, attacked) == 2);
}

TEST_CASE("certify: the bound exact grades the others, where there is one") {
  const auto& table = bound_table();
  const auto exact =
      std::find_if(table.begin(), table.end(), [](const auto& entry) { return entry.name == "exact"; });
  if (exact == table.end()) return;
  const Problem problem(6, 6);
  auto request = problem.request();
  request.layers = {{0, 1, 2}};
  request.severities = {1e-3};
  request.bounds.push_back({&*exact, checked_params(*exact, {})});
  request.grid.reset();
  const auto rows = summarise(request, certify(request));
  REQUIRE(rows.size() == 4);
  CHECK(rows[3].to_exact[2] == Approx(1.0));
  CHECK(rows[2].to_exact[2] <= 1 + 1e-9);
  CHECK(rows[0].to_exact[2] < rows[2].to_exact[2]);
}

TEST_CASE("certify: bounds that do not apply say why, attacks of another set are refused") {
  const Problem problem(7, 8);
  auto request = problem.request();
  request.family.at = [&](double radius, const LayerSet& layers) {
    return l2_set(problem.stored.network, radius, layers);
  };
  request.attacks.clear();
  const auto result = certify(request);
  for (std::size_t b = 0; b < request.bounds.size(); ++b) {
    const auto set = request.family.at(1e-3, {0});
    CHECK(result.bounds[1][b].refused == request.bounds[b].entry->refuses(problem.stored.network, set));
  }
  request.attacks = {weight_pgd()};
  CHECK_THROWS_WITH(certify(request), Catch::Contains("the bounds are for l2"));
  request.attacks = {weight_pgd({{"ball", "l2"}})};
  CHECK_NOTHROW(certify(request));
}

TEST_CASE("certify: a step that throws stops the work") {
  const Problem problem(8, 8);
  auto request = problem.request();
  std::atomic<int> steps{0};
  std::atomic<bool> empty{false};
  const auto stop_at = [&](int last) {
    steps = 0;
    request.step = [&, last](const std::string& what) {
      if (what.empty()) empty = true;
      if (++steps >= last) throw Error(Exit::interrupted, "stopped", "", "");
    };
    CHECK_THROWS_WITH(certify(request), Catch::Contains("stopped"));
  };
  // The searches for radii begin at the fourth step and ask several questions at once.
  stop_at(6);
  CHECK(steps.load() >= 6);
  CHECK(steps.load() <= 6 + 8);
  request.grid.reset();
  stop_at(4);
  CHECK(steps.load() == 4);
  CHECK_FALSE(empty.load());
}
