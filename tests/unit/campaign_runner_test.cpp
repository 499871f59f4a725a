#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>

#include <temblor/base/error.hpp>
#include <temblor/campaign/file_lock.hpp>
#include <temblor/campaign/fold.hpp>
#include <temblor/campaign/runner.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

Spec flips(const TemporaryDirectory& directory, std::int64_t trials) {
  Spec spec;
  spec.network = make_network(directory.path());
  spec.data.set = synthetic_data;
  spec.data.select = "first:20";
  spec.trials = trials;
  spec.attacks = {{.name = "bit-flip", .severity = {1e-3}}};
  return spec;
}

/// Fails at every odd trial, with the given code.
class Fragile : public Attack {
 public:
  explicit Fragile(Exit code) : code_(code) {}
  Perturbation perturb(const Stream& stream) const override {
    auto copy = stream;
    if (copy.word() % 2 == 1) throw Error(code_, "the ground moved", "it does", "");
    return {SparseDelta{}, {}};
  }
  ThreatSet threat() const override { return {}; }

 private:
  Exit code_;
};

TrialSamples samples(const std::vector<double>& drop, const std::vector<double>& pair) {
  TrialSamples result;
  result.drop = drop;
  result.pair_drop = pair;
  result.pair_class.assign(drop.size(), 1);
  return result;
}

}  // namespace

TEST_CASE("per-sample folds: largest drop, lowest trial on ties, what is not finite is counted") {
  auto margins = empty_margins(3);
  fold_trial(samples({-1.0, 0.5, 0.0}, {-0.5, 0.5, 0.0}), 4, margins);
  fold_trial(samples({-2.0, 0.5, infinity}, {-0.25, 0.75, infinity}), 5, margins);
  CHECK(margins.worst_drop == std::vector<double>{-1.0, 0.5, infinity});
  CHECK(margins.worst_trial == std::vector<std::int64_t>{4, 4, 5});
  CHECK(margins.worst_pair_drop == std::vector<double>{-0.25, 0.75, infinity});
  CHECK(margins.worst_pair_trial == std::vector<std::int64_t>{5, 5, 5});
  CHECK(margins.drop_sum == std::vector<double>{-3.0, 1.0, 0.0});
  CHECK(margins.nonfinite == std::vector<std::int64_t>{0, 0, 1});

  auto later = empty_margins(3);
  fold_trial(samples({-1.0, 0.75, 1.0}, {-1.0, 0.75, 1.0}), 6, later);
  fold_block(later, margins);
  fold_block(empty_margins(3), margins);  // a block whose trials all failed
  CHECK(margins.worst_drop == std::vector<double>{-1.0, 0.75, infinity});
  CHECK(margins.worst_trial == std::vector<std::int64_t>{4, 6, 5});
  CHECK(margins.worst_pair_trial == std::vector<std::int64_t>{5, 5, 5});
  CHECK(margins.drop_sum == std::vector<double>{-4.0, 1.75, 1.0});

  auto none = empty_margins(1);
  fold_block(empty_margins(1), none);
  CHECK(std::isnan(none.worst_drop[0]));
  CHECK(none.worst_trial[0] == -1);
}

TEST_CASE("a failed trial is data, a failed program an exception") {
  const TemporaryDirectory directory;
  const auto plan = make_plan(flips(directory, 1));
  const Evaluator evaluator(plan.bases[0].network, plan.data);
  const auto protection = plan.protection(plan.points[0]);
  Evaluator::Scratch scratch(evaluator);
  TrialSamples rows;
  const Fragile fragile(Exit::usage);
  int failed = 0;
  for (std::int64_t trial = 0; trial < 20; ++trial) {
    const auto run = run_trial(plan, 0, trial, fragile, *protection, evaluator, scratch, rows);
    if (run.row.outcome == Outcome::done) continue;
    ++failed;
    CHECK(run.row.outcome == Outcome::failed);
    CHECK(run.message.find("the ground moved") == 0);
    CHECK(std::isnan(run.row.drop_max));
  }
  CHECK(failed > 0);
  CHECK(failed < 20);
  const Fragile broken(Exit::internal);
  CHECK_THROWS_AS(
      [&] {
        for (std::int64_t trial = 0; trial < 20; ++trial) {
          run_trial(plan, 0, trial, broken, *protection, evaluator, scratch, rows);
        }
      }(),
      Error);
}

TEST_CASE("the running file gives blocks back as they were written, and failures reach the result") {
  const TemporaryDirectory directory;
  const auto plan = make_plan(flips(directory, 100));
  const auto path = directory.file("out.h5.partial");
  auto partial = PartialFile::create(path, plan);
  REQUIRE(partial.status().size() == 50);
  for (std::size_t b = 0; b < plan.blocks.size(); ++b) {
    BlockResult block;
    block.margins = empty_margins(20);
    for (std::int64_t t = 0; t < plan.blocks[b].count; ++t) {
      TrialRow row;
      row.trial = plan.blocks[b].first + t;
      row.outcome = b == 3 ? Outcome::failed : Outcome::done;
      row.correct = static_cast<std::int64_t>(b);
      row.drop_max = 0.25 * static_cast<double>(b);
      block.trials.push_back(row);
    }
    if (b == 3) {
      block.failed_trial = plan.blocks[b].first;
      block.message = std::string(300, 'm');
    } else {
      fold_trial(
          samples(std::vector<double>(20, 0.25 * static_cast<double>(b)), std::vector<double>(20, 1.0)),
          plan.blocks[b].first, block.margins);
    }
    partial.write(b, block);
  }
  partial.close();

  auto again = PartialFile::open(path, plan);
  CHECK(again.resumed() == 1);
  CHECK(std::count(again.status().begin(), again.status().end(), 1) == 50);
  const auto block = again.read(7);
  REQUIRE(block.trials.size() == 2);
  CHECK(block.trials[1].trial == 15);
  CHECK(block.trials[1].correct == 7);
  CHECK(block.trials[1].drop_max == 1.75);
  CHECK(block.margins.worst_drop == std::vector<double>(20, 1.75));
  CHECK(block.margins.worst_pair_class == std::vector<std::int32_t>(20, 1));
  CHECK(again.read(3).message == std::string(255, 'm'));

  RunOptions options;
  REQUIRE(compact(plan, again, directory.file("out.h5"), options));
  again.close();
  {
    const ResultFile result(directory.file("out.h5"));
    CHECK(result.trials()[6].outcome == Outcome::failed);
    CHECK(result.trials()[8].outcome == Outcome::done);
    CHECK(result.file().read<std::int64_t>("/failures/trial") == std::vector<std::int64_t>{6});
    CHECK(result.margins(0).worst_drop == std::vector<double>(20, 12.25));
  }

  auto other = plan;
  other.identity += "x";
  CHECK_THROWS_WITH(PartialFile::open(path, other), Catch::Contains("another campaign"));
  CHECK_THROWS_WITH(PartialFile::open(directory.file("out.h5"), plan), Catch::Contains("temblor-result"));
  CHECK_THROWS_WITH(ResultFile(path), Catch::Contains("unfinished"));
}

TEST_CASE("every dataset of a result file is in its reference, with unit and meaning") {
  const TemporaryDirectory directory;
  auto spec = flips(directory, 2);
  spec.attacks.push_back({.name = "weight-pgd", .severity = {1e-3}, .params = {{"steps", "2"}}});
  spec.bounds = {"interval"};
  const auto plan = make_plan(spec);
  run_campaign(plan, directory.file("out.h5"), {});
  const auto file = hdf5::File::open(directory.file("out.h5"), hdf5::File::Mode::read);
  std::size_t found = 0;
  const auto visit = [&](const auto& self, const std::string& path) -> void {
    for (const auto& child : file.group(path).children()) {
      const std::string name = (path == "/" ? "" : path) + "/" + child;
      if (!file.is_dataset(name)) {
        self(self, name);
        continue;
      }
      INFO(name);
      const auto& row = find_dataset(name);  // throws when the table does not have it
      CHECK(file.text("unit", name) == row.unit);
      CHECK(file.text("meaning", name) == row.meaning);
      CHECK(file.type(name) == to_text(row.type));
      ++found;
    }
  };
  visit(visit, "/");
  const auto elsewhere = [](const DatasetSpec& row) {  // of other kinds of file, or of failed trials
    for (const char* group :
         {"/failures/", "/cases/", "/severities/", "/certifiers/", "/certificates/", "/attacked/"})
      if (row.path.starts_with(group)) return true;
    return row.path == "/bounds/NAME/attained" || row.path.starts_with("/bounds/NAME/mean");
  };
  const auto others = std::count_if(result_schema().begin(), result_schema().end(), elsewhere);
  CHECK(found == result_schema().size() - static_cast<std::size_t>(others));
}

TEST_CASE("a result file of another major version is refused, unknown additions are ignored") {
  const TemporaryDirectory directory;
  run_campaign(make_plan(flips(directory, 2)), directory.file("out.h5"), {});
  const auto version = [&](std::int32_t major, std::int32_t minor) {
    const auto file = hdf5::File::open(directory.file("out.h5"), hdf5::File::Mode::update);
    const std::int32_t values[] = {major, minor};
    file.set<std::int32_t>("schema_version", values);
    file.set_text("colour", "blue");
    if (!file.has("/extra")) file.write_strings("/extra/thing", {"new"});
    file.close();
  };
  version(result_major, 99);
  CHECK(ResultFile(directory.file("out.h5")).trials().size() == 2);
  version(result_major + 1, 0);
  CHECK_THROWS_WITH(ResultFile(directory.file("out.h5")), Catch::Contains("2") && Catch::Contains("1"));
}

TEST_CASE("one process at a time") {
  const TemporaryDirectory directory;
  const auto output = directory.file("out.h5");
  {
    const FileLock lock(output);
    CHECK_THROWS_WITH(FileLock(output), Catch::Contains("another process"));
  }
  CHECK_FALSE(std::filesystem::exists(output + ".lock"));
  const FileLock again(output);
  CHECK_THROWS_WITH(FileLock(directory.file("no/out.h5")), Catch::Contains("no/out.h5"));
}
