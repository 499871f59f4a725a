#include <algorithm>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/coverage.hpp>
#include <temblor/campaign/strata.hpp>
#include <temblor/formats/format.hpp>

namespace temblor {
namespace {

/// What a fault did, of a trial or in the census.
struct Counts {
  std::int64_t changed;
  std::int64_t no_prediction;
  std::int64_t correct;
};

struct Event {
  const char* name;
  bool (*happened)(const Counts& counts, const CensusIdentity& of);
};

constexpr Event events[] = {
    {"any image changed or lost",
     [](const Counts& counts, const CensusIdentity&) {
       return counts.changed > 0 || counts.no_prediction > 0;
     }},
    {"any image without prediction",
     [](const Counts& counts, const CensusIdentity&) { return counts.no_prediction > 0; }},
    {"1 point of accuracy lost",
     [](const Counts& counts, const CensusIdentity& of) {
       return 100 * (of.correct - counts.correct) >= of.images;
     }},
};

struct Population {
  std::vector<std::size_t> layers;  ///< entries of the census
  std::vector<std::size_t> bits;
};

/// The faults a point draws from; a reason instead where the census has not all of them.
std::string find_population(const CensusFile& census, const PointRow& point, Population& population) {
  if (point.attack != "bit-flip") return "attack " + point.attack + " is no random bit flip";
  const auto words = parameter_words(point.params);
  if (const auto mode = words.find("mode");
      mode == words.end() || mode->second != "count" || point.severity != 1)
    return "not a single flip (mode=count, flips 1)";
  if (const auto target = words.find("target"); target != words.end() && target->second != "codes")
    return "its faults are in " + target->second + ", not in codes";
  if (point.protection != "none") return "its faults meet the protection " + point.protection;
  if (const auto channel = words.find("channel"); channel != words.end() && channel->second != "all")
    return "its faults are in channel " + channel->second + " alone";
  if (point.format != census.identity.format)
    return "format " + point.format + ", the census is of " + census.identity.format;
  std::vector<int> layers;
  if (point.layers == "all") {
    for (int layer = 0; layer < census.identity.layers; ++layer) layers.push_back(layer);
  } else {
    for (const auto& layer : split(point.layers, '+'))
      layers.push_back(static_cast<int>(parse_integer(layer, "layers of a point", 0, 1 << 20)));
  }
  for (const int layer : layers) {
    const auto& known = census.census.layers;
    const auto found =
        std::find_if(known.begin(), known.end(), [&](const auto& of) { return of.layer == layer; });
    if (found == known.end()) return "the census leaves out layer " + std::to_string(layer);
    population.layers.push_back(static_cast<std::size_t>(found - known.begin()));
  }
  for (const int bit : chosen_bits(words, find_format(point.format))) {
    const auto& known = census.census.bits;
    const auto found = std::find(known.begin(), known.end(), bit);
    if (found == known.end()) return "the census leaves out bit " + std::to_string(bit);
    population.bits.push_back(static_cast<std::size_t>(found - known.begin()));
  }
  return {};
}

bool holds(const ConfidenceInterval& interval, double truth) {
  return interval.lower <= truth && truth <= interval.upper;
}

CoverageRow cover(const CensusFile& census, const ResultFile& sampled, const PointRow& point,
                  const Population& population, const Event& event, std::int64_t group) {
  CoverageRow row;
  row.point = point.index;
  row.event = event.name;
  std::int64_t with = 0;
  const std::size_t bits = census.census.bits.size();
  for (const std::size_t entry : population.layers) {
    const LayerCensus& layer = census.census.layers[entry];
    for (std::size_t weight = 0; weight < layer.faults() / bits; ++weight) {
      for (const std::size_t bit : population.bits) {
        const std::size_t f = weight * bits + bit;
        const std::int64_t correct = census.identity.correct - layer.broken[f] + layer.fixed[f];
        ++row.population;
        with += event.happened({layer.changed[f], layer.no_prediction[f], correct}, census.identity) ? 1 : 0;
      }
    }
  }
  row.truth = static_cast<double>(with) / static_cast<double>(row.population);
  std::int64_t in_group = 0;
  std::int64_t hits = 0;
  for (std::int64_t t = 0; t < point.trials; ++t) {
    const TrialRow& trial = sampled.trials()[static_cast<std::size_t>(point.first_trial + t)];
    if (trial.outcome != Outcome::done) continue;
    const bool hit = event.happened({trial.changed, trial.no_prediction, trial.correct}, census.identity);
    ++row.trials;
    row.hits += hit ? 1 : 0;
    hits += hit ? 1 : 0;
    if (++in_group < group) continue;
    ++row.groups;
    row.wilson_covers += holds(wilson(hits, group), row.truth) ? 1 : 0;
    row.exact_covers += holds(clopper_pearson(hits, group), row.truth) ? 1 : 0;
    in_group = 0;
    hits = 0;
  }
  row.wilson = wilson(row.hits, row.trials);
  row.exact = clopper_pearson(row.hits, row.trials);
  return row;
}

}  // namespace

bool CoverageRow::contradicted() const {
  constexpr double chance = 1e-6;
  return clopper_pearson(exact_covers, groups, 1 - 2 * chance).upper < 0.95 ||
         !holds(clopper_pearson(hits, trials, 1 - chance), truth);
}

Coverage coverage(const CensusFile& census, const ResultFile& sampled, std::int64_t group) {
  ensure(group > 0, "a group has trials");
  if (sampled.network_id() != census.identity.network_id ||
      sampled.dataset_id() != census.identity.dataset_id) {
    input_error(sampled.path() + " cannot be held against " + census.path,
                sampled.network_id() != census.identity.network_id ? "they are of different networks"
                                                                   : "they are of different images",
                "take both of the same network, dataset and selection");
  }
  Coverage result;
  for (const PointRow& point : sampled.points()) {
    Population population;
    if (const auto why = find_population(census, point, population); !why.empty()) {
      result.left.push_back({point.index, why});
      continue;
    }
    for (const Event& event : events)
      result.rows.push_back(cover(census, sampled, point, population, event, group));
  }
  return result;
}

}  // namespace temblor
