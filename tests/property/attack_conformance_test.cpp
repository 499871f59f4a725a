#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <set>

#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <support/paths.hpp>
#include <support/residual.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/perturb/fault_map.hpp>
#include <temblor/perturb/project.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

using Given = std::map<std::string, std::string>;
using Layers = std::vector<std::optional<Weights>>;

/// A network in some formats, with data: what all attacks are tried on.
struct Bench {
  Network network;
  Dataset data;
  std::vector<StoredNetwork> stored{};

  Bench(Network made, const std::vector<std::string>& formats)
      : network(std::move(made)), data(random_dataset(network, 5, 8)) {
    for (const auto& name : formats) stored.push_back(store(network, find_format(name)));
  }
};

std::vector<std::string> all_formats() {
  std::vector<std::string> names;
  for (const auto& format : format_table()) names.push_back(format.name);
  return names;
}

/// Dense layers in every format, and a graph with convolutions in one of each kind.
const std::vector<Bench>& benches() {
  static const std::vector<Bench> instances = [] {
    std::vector<Bench> made;
    made.emplace_back(random_network("6-5-4-3", 7, true), all_formats());
    made.emplace_back(residual_network(7), std::vector<std::string>{"fp32", "int8-affine-channel"});
    return made;
  }();
  return instances;
}

/// A fault map that fits both benches in every format: two bits of every weight that both have.
const std::string& map_file() {
  static const TemporaryDirectory directory;
  static const std::string path = [] {
    const auto name = directory.file("map.h5");
    const auto count = [](int m) {
      Index least = std::numeric_limits<Index>::max();
      for (const Bench& bench : benches()) least = std::min(least, bench.network.weights(m).weight.size());
      return least;
    };
    const auto file = hdf5::File::create(name);
    std::vector<std::int32_t> layer, index, bit, kind;
    for (int m = 0; m < 3; ++m) {
      for (Index i = 0; i < count(m); ++i) {
        for (int b = 0; b < 2; ++b) {
          layer.push_back(m);
          index.push_back(static_cast<std::int32_t>(i));
          bit.push_back(b);
          kind.push_back(static_cast<std::int32_t>(i % 3));
        }
      }
    }
    hdf5::stamp(file, faults_filetype, faults_major, faults_minor);
    file.write<std::int32_t>("layer", layer, {layer.size()});
    file.write<std::int32_t>("index", index, {index.size()});
    file.write<std::int32_t>("bit", bit, {bit.size()});
    file.write<std::int32_t>("kind", kind, {kind.size()});
    file.close();
    return name;
  }();
  return path;
}

/// Checked parameters; those that name a file and are not given get one.
Params params_of(const AttackEntry& entry, Given given) {
  for (const auto& spec : entry.params) {
    if (spec.type == ParamType::file) given.emplace(spec.name, map_file());
  }
  return {"attack '" + entry.name + "'", entry.params, given};
}

/// A severity well inside the range.
double some_severity(const Quantity& quantity) {
  return quantity.whole ? std::min(quantity.most, quantity.least + 3) : std::min(quantity.most, 0.05);
}

/// One attack ready to run, with what it needs alive.
struct Case {
  const Bench* bench;
  const AttackEntry* entry;
  const StoredNetwork* stored;
  Given given;
  LayerSet layers;
  double severity;
  std::shared_ptr<const StoredNetwork> own{};  ///< `stored`, of attacks whose points have a base of their own

  AttackContext context() const {
    return {stored->network,          bench->data, *stored->format, layers, severity,
            params_of(*entry, given), stored};
  }
  std::unique_ptr<Attack> make() const { return make_attack(*entry, context()); }
  std::string text() const {
    std::string words = entry->name + " format=" + stored->format->name + " severity=" + to_text(severity) +
                        " layers=" + layers_text(layers, stored->network);
    for (const auto& [name, value] : given) words += " " + name + "=" + value;
    return words;
  }
};

/// Made, or null when the combination is refused: then by a usage error with a cure.
std::unique_ptr<Attack> made_or_refused(const Case& test) {
  try {
    return test.make();
  } catch (const Error& error) {
    INFO(error.what());
    REQUIRE(error.code() == Exit::usage);
    REQUIRE_THAT(error.what(),
                 Catch::Contains("attack '" + test.entry->name + "'") && Catch::Contains("): "));
    return nullptr;
  }
}

/// Every value of every flag and choice of an attack, one parameter at a time.
std::vector<std::pair<std::string, std::string>> settings(const AttackEntry& entry) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& spec : entry.params) {
    if (spec.type == ParamType::flag) {
      all.emplace_back(spec.name, "true");
      all.emplace_back(spec.name, "false");
    }
    for (const auto& choice : spec.choices) all.emplace_back(spec.name, choice);
  }
  return all;
}

/// Cases of one bench that run: every format x (defaults and every setting, in company of one more where it
/// needs it). A setting that runs in no format and no company fails the test: nothing is left out silently.
std::vector<Case> cases(const AttackEntry& entry, const Bench& bench) {
  std::vector<Case> running;
  const auto try_case = [&](const StoredNetwork& stored, const Given& given) {
    const auto severity = some_severity(entry.quantity(params_of(entry, given)));
    for (const LayerSet& layers : {LayerSet{0, 1, 2}, LayerSet{1}}) {
      Case test{&bench, &entry, &stored, given, layers, severity};
      if (entry.base != nullptr) {
        test.own = std::make_shared<const StoredNetwork>(
            entry.base(stored, bench.data, layers, params_of(entry, given)));
        test.stored = test.own.get();
      }
      if (made_or_refused(test) == nullptr) return false;
      running.push_back(std::move(test));
    }
    return true;
  };
  for (const auto& stored : bench.stored) {
    INFO(entry.name << " with its defaults, format " << stored.format->name);
    REQUIRE(try_case(stored, {}));
  }
  const auto all = settings(entry);
  for (const auto& [name, value] : all) {
    // Which fields there are is the format's business.
    if (name == "field" && bench.stored.size() < format_table().size()) continue;
    int ran = 0;
    for (const auto& stored : bench.stored) ran += try_case(stored, {{name, value}});
    for (const auto& [other, with] : all) {
      if (ran > 0) break;
      if (other != name) ran += try_case(bench.stored.front(), {{name, value}, {other, with}});
    }
    INFO(entry.name << " " << name << "=" << value << " runs in no format and in no company");
    REQUIRE(ran > 0);
  }
  return running;
}

std::vector<Case> cases(const AttackEntry& entry) {
  std::vector<Case> all;
  for (const Bench& bench : benches()) {
    CAPTURE(bench.network.summary());
    // The exact search is for chains of dense layers, and says so.
    if (entry.name == "exact" && &bench != &benches().front()) {
      REQUIRE(made_or_refused({&bench, &entry, &bench.stored.front(), {}, {0, 1}, 0.05}) == nullptr);
      continue;
    }
    for (auto& test : cases(entry, bench)) all.push_back(std::move(test));
  }
  return all;
}

Layers layers_of(const Network& network, const Perturbation& perturbation) {
  if (const auto* sparse = std::get_if<SparseDelta>(&perturbation.delta))
    return perturbed_weights(network, *sparse);
  if (std::holds_alternative<ActivationFaults>(perturbation.delta))
    return Layers(static_cast<std::size_t>(network.layers()));
  return std::get<DenseDelta>(perturbation.delta).layers;
}

/// The weights that every image sees; one entry when all see the same.
std::vector<Layers> all_weights(const Case& test, const Perturbation& perturbation) {
  const Network& network = test.stored->network;
  const auto* samples = std::get_if<SampleDelta>(&perturbation.delta);
  if (samples == nullptr) return {layers_of(network, perturbation)};
  std::vector<Layers> result;
  for (Index n = 0; n < test.bench->data.size(); ++n) {
    result.push_back(perturbed_weights(network, *samples, n, test.bench->data.images.row(n)));
  }
  return result;
}

std::vector<ActivationBit> activation_bits(const Perturbation& perturbation) {
  const auto* activations = std::get_if<ActivationFaults>(&perturbation.delta);
  return activations == nullptr ? std::vector<ActivationBit>{} : activations->bits;
}

bool same(const std::vector<Layers>& a, const std::vector<Layers>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t n = 0; n < a.size(); ++n) {
    if (a[n].size() != b[n].size()) return false;
    for (std::size_t m = 0; m < a[n].size(); ++m) {
      if (a[n][m].has_value() != b[n][m].has_value()) return false;
      if (a[n][m] && !same_bits(*a[n][m], *b[n][m])) return false;
    }
  }
  return true;
}

template <class Values, class Radii>
int outside(const Values& before, const Values& after, double uniform, const Radii& radii) {
  int count = 0;
  for (Index i = 0; i < before.size(); ++i) {
    const double radius = radii.size() != 0 ? radii.data()[i] : uniform;
    count += !within(before.data()[i], after.data()[i], radius);
  }
  return count;
}

/// Parameters of one layer that leave the set, in exact arithmetic.
int outside(const ThreatSet& set, std::size_t layer, const Weights& before, const Weights& after) {
  switch (set.ball) {
    case Ball::bits:
      return after.bias == before.bias ? 0 : 1;
    case Ball::l2: {
      long double squares = 0;
      for (Index i = 0; i < before.weight.size(); ++i) {
        const long double change = static_cast<long double>(after.weight.data()[i]) -
                                   static_cast<long double>(before.weight.data()[i]);
        squares += change * change;
      }
      return (after.bias == before.bias ? 0 : 1) + (std::sqrt(squares) <= set.frobenius ? 0 : 1);
    }
    case Ball::l2_row: {
      int beyond = after.bias == before.bias ? 0 : 1;
      for (Index i = 0; i < before.weight.rows(); ++i) {
        const auto change =
            (after.weight.row(i).cast<long double>() - before.weight.row(i).cast<long double>()).eval();
        beyond += change.norm() <= static_cast<long double>(set.row) ? 0 : 1;
      }
      return beyond;
    }
    case Ball::k_weights:
      return outside(before.weight, after.weight, set.budget.each.at(layer)->uniform, MatrixD()) +
             (after.bias == before.bias ? 0 : 1);
    default: {
      const auto& radius = set.radius.at(layer);
      REQUIRE(radius.has_value());
      return outside(before.weight, after.weight, radius->uniform, radius->weight) +
             outside(before.bias, after.bias, radius->bias_uniform, radius->bias);
    }
  }
}

/// Faults in scales and zero points: the touched layers are what the other words decode to.
void check_metadata(const Case& test, const Perturbation& perturbation) {
  const bool scales = test.given.at("target") == "scales";
  auto codes = test.stored->codes;
  std::set<std::uint32_t> touched;
  for (const auto& fault : perturbation.faults) {
    Encoded& encoded = codes.at(fault.layer);
    REQUIRE(fault.after == (fault.before ^ (1U << fault.bit)));
    if (scales) {
      REQUIRE(fault.before == std::bit_cast<std::uint32_t>(encoded.scale.at(fault.index)));
      encoded.scale[fault.index] = std::bit_cast<float>(fault.after);
    } else {
      REQUIRE(fault.bit < static_cast<unsigned>(encoded.format->bits));
      const std::int32_t range = 1 << encoded.format->bits;
      const std::int32_t least = encoded.format->order == CodeOrder::offset ? 0 : -range / 2;
      std::int32_t& zero = encoded.zero_point.at(fault.index);
      REQUIRE(fault.before == static_cast<std::uint32_t>((zero + range) % range));
      const auto after = static_cast<std::int32_t>(fault.after);
      zero = after >= least + range ? after - range : after;
    }
    touched.insert(fault.layer);
  }
  const auto& dense = std::get<DenseDelta>(perturbation.delta);
  for (std::size_t layer = 0; layer < codes.size(); ++layer) {
    REQUIRE(dense.layers.at(layer).has_value() == touched.contains(static_cast<std::uint32_t>(layer)));
    if (!dense.layers[layer]) continue;
    const auto& weights = *dense.layers[layer];
    REQUIRE(weights.bias == test.stored->network.weights(static_cast<int>(layer)).bias);
    for (std::size_t i = 0; i < codes[layer].codes.size(); ++i) {
      REQUIRE(std::bit_cast<std::uint32_t>(codes[layer].decode(i)) ==
              std::bit_cast<std::uint32_t>(weights.weight.data()[i]));
    }
  }
}

/// Bits that the sites have, each once, in order.
void check_activations(const Case& test, const ActivationFaults& faults) {
  REQUIRE(std::adjacent_find(faults.bits.begin(), faults.bits.end(), std::greater_equal<>()) ==
          faults.bits.end());
  for (const auto& bit : faults.bits) {
    const auto& site = faults.sites->at(bit.site);
    const auto& node = test.stored->network.nodes().at(static_cast<std::size_t>(site.node));
    REQUIRE(bit.sample < static_cast<std::uint32_t>(test.bench->data.size()));
    REQUIRE(bit.unit < static_cast<std::uint32_t>(node.shape.size()));
    REQUIRE(bit.bit < static_cast<std::uint32_t>(test.stored->format->bits));
    REQUIRE((site.layer < 0 ||
             std::find(test.layers.begin(), test.layers.end(), site.layer) != test.layers.end()));
  }
}

/// For every image at most `severity` codes that differ in one bit each.
void check_own_flips(const Case& test, const SampleDelta& samples) {
  REQUIRE(std::ssize(samples.changes) == test.bench->data.size());
  for (const SparseDelta& own : samples.changes) {
    REQUIRE(static_cast<double>(own.changes.size()) <= test.severity);
    for (const Change& change : own.changes) {
      const auto& encoded = test.stored->codes.at(change.layer);
      bool found = false;
      for (int bit = 0; bit < encoded.format->bits; ++bit) {
        const float after = encoded.decode(change.index, encoded.codes.at(change.index) ^ (1U << bit));
        found = found || std::bit_cast<std::uint32_t>(after) == std::bit_cast<std::uint32_t>(change.after);
      }
      REQUIRE(found);
    }
  }
}

void check_faults(const Case& test, const Perturbation& perturbation) {
  if (const auto* samples = std::get_if<SampleDelta>(&perturbation.delta)) {
    check_own_flips(test, *samples);
    return;
  }
  if (const auto* activations = std::get_if<ActivationFaults>(&perturbation.delta)) {
    check_activations(test, *activations);
    return;
  }
  if (test.given.contains("target") && test.given.at("target") != "codes") {
    check_metadata(test, perturbation);
    return;
  }
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> codes;
  for (const auto& fault : perturbation.faults) {
    const auto& encoded = test.stored->codes.at(fault.layer);
    const auto place = std::pair(fault.layer, fault.index);
    if (!codes.contains(place)) codes[place] = encoded.codes.at(fault.index);
    REQUIRE(fault.before == codes[place]);
    REQUIRE(fault.after == (fault.before ^ (1U << fault.bit)));
    codes[place] = fault.after;
  }
  const auto& sparse = std::get<SparseDelta>(perturbation.delta);
  REQUIRE(sparse.changes.size() == codes.size());
  for (const auto& change : sparse.changes) {
    const float expected =
        test.stored->codes[change.layer].decode(change.index, codes.at({change.layer, change.index}));
    REQUIRE(std::bit_cast<std::uint32_t>(expected) == std::bit_cast<std::uint32_t>(change.after));
  }
}

void check_workspace(const Network& network, const Perturbation& perturbation) {
  // Never applied to a workspace.
  if (std::holds_alternative<SampleDelta>(perturbation.delta) ||
      std::holds_alternative<ActivationFaults>(perturbation.delta)) {
    return;
  }
  Workspace workspace(network);
  const Layers expected = layers_of(network, perturbation);
  for (int round = 0; round < 2; ++round) {
    if (const auto* sparse = std::get_if<SparseDelta>(&perturbation.delta)) {
      workspace.apply(*sparse);
    } else {
      workspace.apply(std::get<DenseDelta>(perturbation.delta));
    }
    for (std::size_t m = 0; m < expected.size(); ++m) {
      const Weights& base = network.weights(static_cast<int>(m));
      REQUIRE(same_bits(*workspace.view()[m], expected[m] ? *expected[m] : base));
    }
    workspace.undo();
    for (std::size_t m = 0; m < expected.size(); ++m) {
      REQUIRE(same_bits(*workspace.view()[m], network.weights(static_cast<int>(m))));
    }
  }
}

/// A box without extent: weights of few bits are rounded to more bits as they are.
bool nothing_moves(const ThreatSet& set) {
  return set.ball == Ball::box && std::all_of(set.radius.begin(), set.radius.end(), [](const auto& radius) {
           return !radius || (radius->uniform == 0 && radius->weight.isZero(0));
         });
}

}  // namespace

TEST_CASE("attacks: every perturbation lies in its threat set, in exact arithmetic") {
  for (const auto& entry : attack_table()) {
    for (const auto& test : cases(entry)) {
      INFO(test.text());
      const auto attack = test.make();
      const auto set = attack->threat();
      const Network& network = test.stored->network;
      REQUIRE(set.layers == test.layers);
      REQUIRE(set.severity == test.severity);
      for (std::uint32_t trial = 0; trial < 3; ++trial) {
        const auto perturbation = attack->perturb(Stream(3, {0, trial, 0}));
        for (const auto& weights : all_weights(test, perturbation)) {
          if (set.ball == Ball::k_weights) REQUIRE(measure(network, weights).changed <= set.budget.count);
          for (std::size_t m = 0; m < weights.size(); ++m) {
            const bool chosen =
                std::find(test.layers.begin(), test.layers.end(), static_cast<int>(m)) != test.layers.end();
            if (!chosen) REQUIRE_FALSE(weights[m].has_value());
            if (weights[m]) REQUIRE(outside(set, m, network.weights(static_cast<int>(m)), *weights[m]) == 0);
          }
        }
        const bool sparse = std::holds_alternative<SparseDelta>(perturbation.delta);
        REQUIRE(attack->code_faults().has_value() == (entry.stored_codes && sparse));
        REQUIRE(attack->per_sample() == (!sparse && !std::holds_alternative<DenseDelta>(perturbation.delta)));
        if (entry.stored_codes) check_faults(test, perturbation);
        check_workspace(network, perturbation);
      }
    }
  }
}

TEST_CASE("attacks: same stream, same perturbation; another stream, another one, unless deterministic") {
  for (const auto& entry : attack_table()) {
    int drawn = 0;
    int different = 0;
    for (const auto& test : cases(entry)) {
      INFO(test.text());
      const auto attack = test.make();
      const auto drawn_from = [&](const Attack& one, StreamId id) {
        const auto perturbation = one.perturb(Stream(11, id));
        return std::pair(all_weights(test, perturbation), activation_bits(perturbation));
      };
      using Drawn = std::pair<std::vector<Layers>, std::vector<ActivationBit>>;
      const auto equal = [](const Drawn& a, const Drawn& b) {
        return same(a.first, b.first) && a.second == b.second;
      };
      const auto first = drawn_from(*attack, {0, 0, 0});
      REQUIRE(equal(first, drawn_from(*attack, {0, 0, 0})));
      REQUIRE(equal(first, drawn_from(*test.make(), {0, 0, 0})));
      bool all_equal = true;
      for (const StreamId id : {StreamId{0, 1, 0}, StreamId{1, 0, 0}, StreamId{0, 2, 0}, StreamId{2, 1, 0}}) {
        all_equal = all_equal && equal(first, drawn_from(*attack, id));
      }
      // Ascents for one image each may all end at the same worst case.
      const bool sample = test.given.count("scope") != 0 && test.given.at("scope") == "sample";
      // And so may those of the two weights of a scale layer.
      const bool settles = sample || (test.entry->name == "weight-pgd" && test.bench != &benches().front());
      // Few bits at a low rate: most trials have no fault at all.
      for (std::uint32_t trial = 3; all_equal && !settles && !attack->deterministic() && trial < 400;
           ++trial) {
        all_equal = equal(first, drawn_from(*attack, {0, trial, 0}));
      }
      if (attack->deterministic() || !settles) REQUIRE(all_equal == attack->deterministic());
      drawn += attack->deterministic() ? 0 : 1;
      different += all_equal ? 0 : 1;
    }
    INFO(entry.name);
    CHECK((drawn == 0 || different > 0));
  }
}

TEST_CASE("attacks: severity 0 changes nothing, where it is allowed") {
  for (const auto& entry : attack_table()) {
    for (auto test : cases(entry)) {
      INFO(test.text());
      const auto quantity = entry.quantity(params_of(entry, test.given));
      test.severity = 0;
      if (quantity.least > 0) {
        REQUIRE_THROWS_AS(test.make(), Error);
        continue;
      }
      const auto perturbation = test.make()->perturb(Stream(3, {}));
      REQUIRE(perturbation.flipped_bits() == 0);
      for (const auto& weights : all_weights(test, perturbation)) {
        REQUIRE(measure(test.stored->network, weights).changed == 0);
      }
    }
  }
}

TEST_CASE("attacks: a threat set's key is canonical") {
  for (const auto& entry : attack_table()) {
    for (auto test : cases(entry)) {
      INFO(test.text());
      const auto set = test.make()->threat();
      const auto key = set.key;
      REQUIRE(key.find_first_of("\n\t") == std::string::npos);
      REQUIRE_FALSE(key.empty());
      REQUIRE(test.make()->threat().key == key);
      const auto quantity = entry.quantity(params_of(entry, test.given));
      test.severity = quantity.whole ? test.severity + 1 : test.severity / 2;
      const auto next = test.make()->threat();
      const auto other = next.key;
      REQUIRE((other != key || (nothing_moves(set) && nothing_moves(next))));
      test.layers = {2};
      REQUIRE(test.make()->threat().key != other);
    }
  }
}

TEST_CASE("attacks: bad severities and parameters are refused, the nearest name is offered") {
  for (const auto& entry : attack_table()) {
    CAPTURE(entry.name);
    CHECK(&find_attack(entry.name) == &entry);
    CHECK_THROWS_WITH(find_attack(entry.name.substr(1)), Catch::Contains("'" + entry.name + "'"));
    const auto params = params_of(entry, {});
    const auto quantity = entry.quantity(params);
    std::vector<double> bad = {quantity.least - 1, std::numeric_limits<double>::quiet_NaN(),
                               std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity()};
    if (quantity.whole) bad.push_back(quantity.least + 0.5);
    for (const double severity : bad) CHECK_THROWS_AS(check_severity(entry, params, severity), Error);
    CHECK_NOTHROW(check_severity(entry, params, quantity.least));
    CHECK_NOTHROW(check_severity(entry, params, quantity.most));
    for (const auto& spec : entry.params) {
      CHECK_THROWS_WITH(params_of(entry, {{spec.name.substr(0, 1) + spec.name, spec.initial}}),
                        Catch::Contains("'" + spec.name + "'"));
      if (spec.type == ParamType::integer || spec.type == ParamType::real) {
        CHECK_THROWS_AS(params_of(entry, {{spec.name, "nan"}}), Error);
        if (spec.least > -1e9)
          CHECK_THROWS_AS(params_of(entry, {{spec.name, to_text(spec.least - 1)}}), Error);
        if (spec.most < 1e15) CHECK_THROWS_AS(params_of(entry, {{spec.name, to_text(spec.most + 1)}}), Error);
      } else if (spec.type != ParamType::text && spec.type != ParamType::file) {
        CHECK_THROWS_AS(params_of(entry, {{spec.name, "no-such-value"}}), Error);
      }
    }
  }
}

TEST_CASE("attacks: the example of the help names the attack, its parameters and its severity") {
  for (const auto& entry : attack_table()) {
    CAPTURE(entry.example);
    const auto words = split(entry.example, ' ');
    REQUIRE(words.size() % 2 == 0);
    std::map<std::string, std::string> options;
    Given given;
    for (std::size_t i = 0; i < words.size(); i += 2) {
      if (words[i] == "--set") {
        const auto equals = words[i + 1].find('=');
        REQUIRE(equals != std::string::npos);
        given[words[i + 1].substr(0, equals)] = words[i + 1].substr(equals + 1);
      } else {
        REQUIRE(options.emplace(words[i], words[i + 1]).second);
      }
    }
    CHECK(options["--attack"] == entry.name);
    const auto params = params_of(entry, given);
    const auto quantity = entry.quantity(params);
    REQUIRE(options.contains("--" + quantity.name));
    for (const double severity : parse_reals(options["--" + quantity.name], quantity.name)) {
      CHECK_NOTHROW(check_severity(entry, params, severity));
    }
    for (const auto& format : split(options.contains("--format") ? options["--format"] : "fp32", ',')) {
      CHECK_NOTHROW(find_format(format));
    }
  }
}
