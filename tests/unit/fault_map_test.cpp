#include <algorithm>
#include <map>

#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <support/paths.hpp>

#include <temblor/base/error.hpp>
#include <temblor/perturb/fault_map.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// Columns of a fault file, written as somebody would by hand.
struct Columns {
  std::vector<std::int64_t> layer, index, bit;
  std::vector<std::int64_t> kind{}, trial{};
  std::vector<double> probability{};
  std::vector<std::string> layer_names{}, kind_names{};
  std::string format{}, network_id{};
  std::int64_t trials = 0;

  void write(const std::string& path) const {
    const auto file = hdf5::File::create(path);
    hdf5::stamp(file, faults_filetype, faults_major, faults_minor);
    const auto column = [&](const std::string& name, const auto& values) {
      using T = typename std::decay_t<decltype(values)>::value_type;
      if (!values.empty()) file.write<T>(name, values, {values.size()});
    };
    column("layer", layer);
    column("index", index);
    column("bit", bit);
    column("kind", kind);
    column("trial", trial);
    column("probability", probability);
    if (!layer_names.empty()) file.write_strings("layer", layer_names);
    if (!kind_names.empty()) file.write_strings("kind", kind_names);
    if (!format.empty()) file.set_text("format", format);
    if (!network_id.empty()) file.set_text("network_id", network_id);
    if (trials != 0) file.set<std::int64_t>("trials", std::span<const std::int64_t>(&trials, 1));
    file.close();
  }
};

/// A 4-3-2 network in int8 and a place for files.
struct Bench {
  TemporaryDirectory directory;
  Network network = random_network("4-3-2", 5, true);
  StoredNetwork stored = store(network, find_format("int8"));

  FaultMap read(const Columns& columns) const {
    const auto path = directory.file("map.h5");
    columns.write(path);
    return read_fault_map(path, {stored.network, *stored.format, &network});
  }
  std::string refusal(const Columns& columns) const {
    try {
      read(columns);
    } catch (const Error& error) {
      CHECK(error.code() == Exit::bad_input);
      const std::string words = error.what();
      CHECK(words.find("map.h5'") != std::string::npos);
      CHECK(words.find("): ") != std::string::npos);
      return words;
    }
    return "taken";
  }
  std::vector<BitAddress> drawn(const FaultMap& map, std::uint32_t trial, double scale = 1) const {
    return map.drawn(Stream(1, {0, trial, 0}), scale, stored.codes);
  }
};

}  // namespace

TEST_CASE("fault map: certain flips are drawn in every trial, sorted") {
  const Bench bench;
  const auto map = bench.read({{1, 0, 0}, {5, 11, 0}, {7, 0, 3}});
  const std::vector<BitAddress> expected{{0, 0, 3}, {0, 11, 0}, {1, 5, 7}};
  for (std::uint32_t trial = 0; trial < 3; ++trial) CHECK(bench.drawn(map, trial) == expected);
  CHECK(bench.drawn(map, 0, 0).empty());
  CHECK(bench.drawn(map, 0, 1e9) == expected);
}

TEST_CASE("fault map: a stuck bit is a flip where the code holds the other value") {
  const Bench bench;
  Columns columns;
  std::vector<BitAddress> zeros, ones;
  for (std::uint32_t bit = 0; bit < 8; ++bit) {
    columns.layer.push_back(0);
    columns.index.push_back(2);
    columns.bit.push_back(bit);
    ((bench.stored.codes[0].codes[2] >> bit) & 1U ? ones : zeros).push_back({0, 2, bit});
  }
  REQUIRE((!zeros.empty() && !ones.empty()));
  columns.kind.assign(8, 1);
  CHECK(bench.drawn(bench.read(columns), 0) == ones);
  columns.kind.assign(8, 2);
  CHECK(bench.drawn(bench.read(columns), 0) == zeros);
  columns.kind.clear();
  columns.kind_names.assign(8, "stuck-at-1");
  CHECK(bench.drawn(bench.read(columns), 0) == zeros);
}

TEST_CASE("fault map: rows of a trial act in that trial alone; names of layers and kinds are taken") {
  const Bench bench;
  Columns columns{{0, 1, 0}, {1, 1, 1}, {4, 4, 4}};
  columns.trial = {2, -1, 0};
  columns.trials = 3;
  const auto map = bench.read(columns);
  CHECK(bench.drawn(map, 0) == std::vector<BitAddress>{{0, 1, 4}, {1, 1, 4}});
  CHECK(bench.drawn(map, 1) == std::vector<BitAddress>{{1, 1, 4}});
  CHECK(bench.drawn(map, 2) == std::vector<BitAddress>{{0, 1, 4}, {1, 1, 4}});
  CHECK_THROWS_WITH(bench.drawn(map, 3), Catch::Contains("trials 0 to 2"));

  columns.layer.clear();
  for (const int layer : {0, 1, 0}) columns.layer_names.push_back(bench.network.layer_name(layer));
  CHECK(bench.drawn(bench.read(columns), 0) == std::vector<BitAddress>{{0, 1, 4}, {1, 1, 4}});
}

TEST_CASE("fault map: every row is drawn with its probability times the scale, at most 1") {
  const Bench bench;
  Columns columns;
  columns.probability = {1, 0.5, 0.3, 0.25, 0.04, 0.01, 1e-30, 0, 0.75, 0.6};
  for (std::int64_t i = 0; i < 10; ++i) {
    columns.layer.push_back(0);
    columns.index.push_back(i);
    columns.bit.push_back(6);
  }
  const auto map = bench.read(columns);
  constexpr std::uint32_t trials = 20000;
  for (const double scale : {1.0, 0.35, 1.5}) {
    std::map<std::uint32_t, int> hits;
    std::int64_t pairs = 0;  // rows 1 and 2 together: they must be independent
    for (std::uint32_t trial = 0; trial < trials; ++trial) {
      const auto bits = bench.drawn(map, trial, scale);
      for (const auto& at : bits) ++hits[at.index];
      const auto has = [&](std::uint32_t index) {
        return std::binary_search(bits.begin(), bits.end(), BitAddress{0, index, 6});
      };
      pairs += has(1) && has(2) ? 1 : 0;
    }
    const auto check = [&](double count, double p) {
      const double deviation = std::sqrt(trials * p * (1 - p));
      CHECK(std::abs(count - trials * p) <= 5 * deviation);
    };
    for (std::uint32_t i = 0; i < 10; ++i) check(hits[i], std::min(1.0, scale * columns.probability[i]));
    check(static_cast<double>(pairs), std::min(1.0, scale * 0.5) * scale * 0.3);
  }
}

TEST_CASE("fault map: bad rows are refused by number, with reason and cure") {
  const Bench bench;
  using Catch::Contains;
  const std::int64_t last = 11;
  CHECK_THAT(bench.refusal({{0, 2}, {0, 0}, {0, 0}}), Contains("row 1 (layer 2;") && Contains("0 to 1"));
  CHECK_THAT(bench.refusal({{-1}, {0}, {0}}), Contains("row 0 (layer -1;"));
  CHECK_THAT(bench.refusal({{0, 0}, {last, last + 1}, {0, 0}}),
             Contains("row 1 (index 12;") && Contains("0 to 11 (3 x 4"));
  CHECK_THAT(bench.refusal({{0, 0, 1}, {0, 1, 2}, {0, 7, 8}}), Contains("row 2 (bit 8;") && Contains("int8"));
  CHECK_THAT(bench.refusal({{0, 1, 0}, {3, 3, 3}, {2, 2, 2}}),
             Contains("row 2 (layer 0, index 3, bit 2 is in row 0 already"));
  Columns columns{{0, 0}, {1, 1}, {4, 4}};
  columns.trial = {0, 1};
  CHECK(bench.refusal(columns) == "taken");
  columns.trial = {5, 5};
  CHECK_THAT(bench.refusal(columns), Contains("row 1") && Contains("for trial 5"));
  columns.trial = {5, -1};
  CHECK_THAT(bench.refusal(columns), Contains("row 1") && Contains("row 0 already"));
  columns.trial = {5, -2};
  CHECK_THAT(bench.refusal(columns), Contains("row 1 (trial -2)"));
  columns.trial = {0, 1};
  columns.trials = 1;
  CHECK_THAT(bench.refusal(columns), Contains("row 1 (trial 1;") && Contains("'trials' says 1"));
  columns = {{0, 0}, {1, 2}, {4, 4}};
  columns.kind = {2, 3};
  CHECK_THAT(bench.refusal(columns), Contains("row 1 (kind 3 is unknown)"));
  columns.kind.clear();
  columns.kind_names = {"flip", "flop"};
  CHECK_THAT(bench.refusal(columns), Contains("row 1 (kind 'flop' is unknown)"));
  columns.kind_names.clear();
  for (const double bad : {-0.1, 1.1, std::nan(""), HUGE_VAL}) {
    columns.probability = {0.5, bad};
    CHECK_THAT(bench.refusal(columns), Contains("row 1 (probability"));
  }
  columns.probability = {0.5};
  CHECK_THAT(bench.refusal(columns), Contains("'probability'") && Contains("1 rows, 'layer' has 2"));
  columns = {{}, {1, 2}, {4, 4}};
  columns.layer_names = {bench.network.layer_name(0), "nonsense"};
  CHECK_THAT(bench.refusal(columns), Contains("row 1") && Contains("'nonsense'"));
}

TEST_CASE("fault map: another format, another network, other files are refused") {
  const Bench bench;
  using Catch::Contains;
  Columns columns{{0}, {1}, {4}};
  columns.format = "fp16";
  CHECK_THAT(bench.refusal(columns), Contains("fp16") && Contains("int8"));
  columns.format = "int8";
  columns.network_id = bench.network.id();
  CHECK(bench.refusal(columns) == "taken");
  columns.network_id = bench.stored.network.id();
  CHECK(bench.refusal(columns) == "taken");
  columns.network_id = std::string(64, 'a');
  CHECK_THAT(bench.refusal(columns), Contains("made for the network aaaaaaaaaaaa"));
  CHECK_THAT(bench.refusal({{0}, {}, {1}}), Contains("no dataset 'index'"));
  const auto path = bench.directory.file("other.h5");
  const auto file = hdf5::File::create(path);
  hdf5::stamp(file, "temblor-network", 1, 0);
  file.close();
  CHECK_THROWS_WITH(read_fault_map(path, {bench.network, *bench.stored.format, nullptr}),
                    Contains("a temblor-faults file is needed"));
}

TEST_CASE("fault list: what is written reads back as the same flips of the same trials") {
  const Bench bench;
  const auto path = bench.directory.file("list.h5");
  std::vector<std::vector<BitAddress>> trials{{{0, 3, 0}, {0, 3, 7}, {1, 0, 2}}, {}, {{0, 3, 7}}};
  FaultList list;
  for (std::size_t t = 0; t < trials.size(); ++t) {
    for (const auto& fault : flips_of(bench.stored.codes, trials[t]))
      list.add(static_cast<std::int64_t>(t), fault);
  }
  const auto file = hdf5::File::create(path);
  write_fault_list(file, list, "int8", bench.network.id(), 3);
  file.close();
  const auto map = read_fault_map(path, {bench.stored.network, *bench.stored.format, &bench.network});
  REQUIRE(map.trials() == 3);
  for (std::uint32_t t = 0; t < 3; ++t) CHECK(bench.drawn(map, t) == trials[t]);
}
