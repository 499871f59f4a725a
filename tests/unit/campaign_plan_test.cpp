#include <set>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>

#include <temblor/base/error.hpp>
#include <temblor/campaign/plan.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Spec grid(const TemporaryDirectory& directory) {
  Spec spec;
  spec.network = make_network(directory.path());
  spec.data.set = synthetic_data;
  spec.trials = 100;
  spec.attacks = {
      {.name = "weight-pgd", .severity = {1e-3, 2e-3}, .layers = {"all", "0+2"}, .format = {"fp32", "int8"}},
      {.name = "bit-flip", .severity = {1e-3}, .trials = 7}};
  return spec;
}

}  // namespace

TEST_CASE("points are attack x severity x layers x format, the format fastest") {
  const TemporaryDirectory directory;
  const auto plan = make_plan(grid(directory));
  std::vector<std::string> points;
  for (const auto& point : plan.points) points.push_back(plan.describe(point));
  CHECK(points ==
        std::vector<std::string>{
            "weight-pgd eps=0.001 layers=all format=fp32", "weight-pgd eps=0.001 layers=all format=int8",
            "weight-pgd eps=0.001 layers=0+2 format=fp32", "weight-pgd eps=0.001 layers=0+2 format=int8",
            "weight-pgd eps=0.002 layers=all format=fp32", "weight-pgd eps=0.002 layers=all format=int8",
            "weight-pgd eps=0.002 layers=0+2 format=fp32", "weight-pgd eps=0.002 layers=0+2 format=int8",
            "bit-flip ber=0.001 layers=all format=fp32"});
  CHECK(plan.bases.size() == 2);
  CHECK(plan.trials == 807);
  CHECK(plan.points.back().first_trial == 800);
}

TEST_CASE("blocks cover every trial once, at most 64 a point") {
  const TemporaryDirectory directory;
  auto spec = grid(directory);
  for (const std::int64_t trials : {1, 63, 64, 65, 1000}) {
    spec.trials = trials;
    const auto plan = make_plan(spec);
    std::vector<std::int64_t> next(plan.points.size(), 0), count(plan.points.size(), 0);
    for (const auto& block : plan.blocks) {
      CHECK(block.first == next[block.point]);
      next[block.point] += block.count;
      ++count[block.point];
    }
    for (std::size_t p = 0; p < plan.points.size(); ++p) {
      CHECK(next[p] == plan.points[p].trials);
      CHECK(count[p] <= 64);
    }
  }
}

TEST_CASE("the id tells campaigns apart by what decides results, and by nothing else") {
  const TemporaryDirectory directory;
  const auto base = grid(directory);
  const auto id = make_plan(base).id;
  CHECK(make_plan(base).id == id);
  auto same = base;
  same.title = "another title";
  CHECK(make_plan(same).id == id);
  std::set<std::string> ids{id};
  const auto changed = [&](auto change) {
    auto spec = base;
    change(spec);
    CHECK(ids.insert(make_plan(spec).id).second);
  };
  changed([](Spec& spec) { spec.seed = 2; });
  changed([](Spec& spec) { spec.trials = 101; });
  changed([](Spec& spec) { spec.data.select = "first:10"; });
  changed([](Spec& spec) { spec.attacks[0].severity[1] = 3e-3; });
  changed([](Spec& spec) { spec.attacks[0].layers.pop_back(); });
  changed([](Spec& spec) { spec.attacks[0].params["steps"] = "3"; });
  changed([](Spec& spec) { spec.bounds = {"interval"}; });
  changed([](Spec& spec) { spec.memory = {{"row", "8"}}; });
  same.memory = {{"row", "1024"}};  // the default
  CHECK(make_plan(same).id == id);
  changed([](Spec& spec) {
    spec.attacks[1].volts = true;
    spec.voltage = voltage_table({1e-4, 1e-2}, {0.1, 1e-3}, "");
  });
  changed([](Spec& spec) {
    spec.attacks[1].volts = true;
    spec.voltage = voltage_table({1e-4, 1e-2}, {0.1, 2e-3}, "");
  });
}

TEST_CASE("a plan refuses what cannot run") {
  const TemporaryDirectory directory;
  const auto problem = [&](auto change) {
    auto spec = grid(directory);
    change(spec);
    try {
      make_plan(spec);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(problem([](Spec& spec) { spec.network.clear(); }).find("no network") == 0);
  CHECK(problem([](Spec& spec) { spec.network = "gone.h5"; }).find("gone.h5") != std::string::npos);
  CHECK(problem([](Spec& spec) { spec.data.set.clear(); }).find("no dataset") == 0);
  CHECK(problem([](Spec& spec) { spec.data.set = "synthetic:classes=3,features=9,n=20"; }).find("net.h5") !=
        std::string::npos);
  CHECK(problem([](Spec& spec) { spec.attacks.clear(); }).find("no attack") == 0);
  CHECK(problem([](Spec& spec) { spec.attacks[0].layers = {"3"}; }).find("3") != std::string::npos);
  CHECK(problem([](Spec& spec) {
          spec.attacks[0].layers = {"0+2", "2+0"};
        }).find("in the grid already") != std::string::npos);
}

TEST_CASE("the difference between two identities is one line") {
  CHECK(difference("a 1\nb 2\n", "a 1\nb 2\n").empty());
  CHECK(difference("a 1\nb 2\n", "a 1\nb 3\n") == "'b 2' there, 'b 3' here");
}
