#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/census_file.hpp>
#include <temblor/campaign/sizing.hpp>
#include <temblor/campaign/strata.hpp>

namespace temblor {
namespace {

/// What a pilot knows of a stratum.
struct Known {
  std::int64_t trials = 0;
  double rate = 0;
  double deviation = 0;
};

[[noreturn]] void wrong_pilot(const std::string& path, const std::string& why) {
  input_error("pilot '" + path + "' does not fit", why, "give a pilot of the same network and format");
}

/// Shares of every fault of the stratum.
Known from_census(const CensusFile& file, const SizedStratum& stratum, const Rate& rate) {
  double sum = 0;
  double squares = 0;
  Known known;
  const auto& census = file.census;
  for (const int layer : stratum.layers) {
    const auto of = std::find_if(census.layers.begin(), census.layers.end(),
                                 [&](const LayerCensus& entry) { return entry.layer == layer; });
    if (of == census.layers.end())
      wrong_pilot(file.path, "the census leaves out layer " + std::to_string(layer));
    for (const int bit : stratum.bits) {
      const auto at = std::find(census.bits.begin(), census.bits.end(), bit);
      if (at == census.bits.end()) wrong_pilot(file.path, "the census leaves out bit " + std::to_string(bit));
      for (auto f = static_cast<std::size_t>(at - census.bits.begin()); f < of->faults();
           f += census.bits.size()) {
        TrialRow row;
        row.changed = of->changed[f];
        row.broken = of->broken[f];
        row.fixed = of->fixed[f];
        row.no_prediction = of->no_prediction[f];
        row.correct = file.identity.correct - row.broken + row.fixed;
        const double share = rate.of(row, file.identity.images);
        sum += share;
        squares += share * share;
        ++known.trials;
      }
    }
  }
  const auto n = static_cast<double>(known.trials);
  known.rate = sum / n;
  known.deviation = std::sqrt(std::max(0.0, squares / n - known.rate * known.rate));
  return known;
}

/// Whether the point's faults are of the codes, and those of the stratum among them.
bool holds(const PointRow& point, const SizedStratum& stratum, const Format& format) {
  if (point.population == 0 || point.format != format.name) return false;
  const auto words = parameter_words(point.params);
  if (const auto target = words.find("target"); target != words.end() && target->second != "codes")
    return false;
  if (const auto channel = words.find("channel"); channel != words.end() && channel->second != "all")
    return false;
  if (point.protection != "none") return false;
  const auto bits = chosen_bits(words, format);
  if (!std::all_of(stratum.bits.begin(), stratum.bits.end(), [&](int bit) { return bits.contains(bit); }))
    return false;
  if (point.layers == "all") return true;
  const auto layers = split(point.layers, '+');
  return std::all_of(stratum.layers.begin(), stratum.layers.end(), [&](int layer) {
    return std::find(layers.begin(), layers.end(), std::to_string(layer)) != layers.end();
  });
}

Known from_result(const ResultFile& file, const SizedStratum& stratum, const Format& format,
                  const Rate& rate) {
  const PointRow* best = nullptr;
  for (const auto& point : file.points()) {
    if (holds(point, stratum, format) && (best == nullptr || point.population < best->population))
      best = &point;
  }
  if (best == nullptr) return {};
  auto shares = trial_rates(file, *best, rate);
  Known known;
  known.trials = static_cast<std::int64_t>(shares.size());
  if (shares.empty()) return known;
  shares.insert(shares.end(), {0.0, 1.0});
  const auto n = static_cast<double>(shares.size());
  double squares = 0;
  for (const double share : shares) known.rate += share / n;
  for (const double share : shares) squares += (share - known.rate) * (share - known.rate);
  known.deviation = std::sqrt(squares / n);
  return known;
}

void take_pilot(const Network& network, const SizeRequest& request, std::vector<SizedStratum>& strata) {
  const auto& path = *request.pilot;
  const auto filetype = hdf5::File::open(path, hdf5::File::Mode::read).text("filetype");
  const auto take = [&](const auto& of) {
    for (auto& stratum : strata) {
      const Known known = of(stratum);
      stratum.pilot_trials = known.trials;
      if (known.trials == 0) continue;
      stratum.rate = known.rate;
      stratum.deviation = known.deviation;
    }
  };
  if (filetype == census_filetype) {
    const CensusFile census(path);
    if (census.identity.network_id != network.id()) wrong_pilot(path, "it is of another network");
    if (census.identity.format != request.format->name)
      wrong_pilot(path, "it is of format " + census.identity.format);
    if (request.of->name == "sdc_top5")
      wrong_pilot(path, "a census does not count predictions that leave the top five");
    take([&](const SizedStratum& stratum) { return from_census(census, stratum, *request.of); });
    return;
  }
  const ResultFile result(path);
  if (result.network_id() != network.id()) wrong_pilot(path, "it is of another network");
  take([&](const SizedStratum& stratum) {
    return from_result(result, stratum, *request.format, *request.of);
  });
  if (std::all_of(strata.begin(), strata.end(),
                  [](const auto& stratum) { return stratum.pilot_trials == 0; }))
    wrong_pilot(path, "none of its points draws single faults that hold a stratum");
}

/// Parts of the bits, one a stratum of each layer.
std::vector<std::vector<int>> bit_parts(const SizeRequest& request) {
  std::vector<std::vector<int>> parts;
  if (request.by_bit) {
    for (const int bit : request.bits) parts.push_back({bit});
  } else if (request.by_field) {
    for (const auto& field : request.format->fields) {
      std::vector<int> part;
      for (const int bit : request.bits) {
        if (bit >= field.low && bit < field.low + field.bits) part.push_back(bit);
      }
      if (!part.empty()) parts.push_back(part);
    }
  } else {
    parts.push_back(request.bits);
  }
  return parts;
}

}  // namespace

std::string bits_text(const std::vector<int>& bits, const Format& format) {
  if (bits.size() == static_cast<std::size_t>(format.bits)) return "all";
  std::vector<std::string> words;
  for (const int bit : bits) words.push_back(std::to_string(bit));
  return join(words, "+");
}

Sizing size_campaign(const Network& network, const SizeRequest& request) {
  ensure(!request.layers.empty() && !request.bits.empty() && request.of != nullptr, "there are faults");
  Sizing sizing;
  std::vector<LayerSet> layer_parts;
  if (request.by_layer) {
    for (const int layer : request.layers) layer_parts.push_back({layer});
  } else {
    layer_parts.push_back(request.layers);
  }
  for (const auto& layers : layer_parts) {
    std::int64_t weights = 0;
    for (const int layer : layers) weights += network.weights(layer).weight.size();
    for (const auto& bits : bit_parts(request)) {
      SizedStratum stratum;
      stratum.layers = layers;
      stratum.bits = bits;
      stratum.population = weights * static_cast<std::int64_t>(bits.size());
      stratum.rate = request.rate;
      stratum.deviation = std::sqrt(request.rate * (1 - request.rate));
      sizing.population += stratum.population;
      sizing.strata.push_back(stratum);
    }
  }
  if (request.pilot) take_pilot(network, request, sizing.strata);
  std::vector<StratumPrior> priors;
  for (const auto& stratum : sizing.strata)
    priors.push_back({stratum.population, stratum.rate, stratum.deviation});
  sizing.needed = request.pilot
                      ? stratified_size(priors, request.error, request.confidence, request.neyman)
                      : sample_size(sizing.population, request.error, request.confidence, request.rate);
  constexpr std::int64_t least = 2;  // one trial has no variance
  auto trials = allocate(priors, sizing.needed, request.neyman, least);
  if (request.pilot) raise_to(priors, request.error, request.confidence, trials);
  for (std::size_t h = 0; h < trials.size(); ++h) {
    sizing.strata[h].trials = trials[h];
    sizing.trials += trials[h];
  }
  sizing.reached = expected_half_width(priors, trials, request.confidence);
  return sizing;
}

std::vector<AttackSpec> sized_attacks(const Network& network, const SizeRequest& request,
                                      const Sizing& sizing) {
  std::vector<AttackSpec> attacks;
  for (const auto& stratum : sizing.strata) {
    AttackSpec attack;
    attack.name = "bit-flip";
    attack.severity = {1};
    attack.layers = {layers_text(stratum.layers, network)};
    attack.format = {request.format->name};
    attack.trials = stratum.trials;
    attack.params = {{"mode", "count"}, {"bit", bits_text(stratum.bits, *request.format)}};
    attacks.push_back(attack);
  }
  return attacks;
}

}  // namespace temblor
