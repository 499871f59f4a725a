#include <algorithm>

#include <temblor/base/text.hpp>
#include <temblor/campaign/strata.hpp>

namespace temblor {
namespace {

/// Where a point's faults are: layers (empty: all) and bits.
struct Place {
  std::set<std::string> layers;
  std::set<int> bits;

  bool overlaps(const Place& other) const {
    const auto common = [](const auto& a, const auto& b) {
      return std::any_of(a.begin(), a.end(), [&](const auto& item) { return b.contains(item); });
    };
    return common(bits, other.bits) &&
           (layers.empty() || other.layers.empty() || common(layers, other.layers));
  }
};

Place place_of(const PointRow& point) {
  const auto words = parameter_words(point.params);
  const auto target = words.find("target");
  const bool scales = target != words.end() && target->second == "scales";
  Place place;
  place.bits = chosen_bits(words, find_format(scales ? "fp32" : point.format));
  if (point.layers == "all") return place;
  for (const auto& layer : split(point.layers, '+')) place.layers.insert(layer);
  return place;
}

/// What strata of one population have in common.
std::string kind_of(const PointRow& point) {
  std::string kind =
      point.attack + " " + point.format + " " + point.protection + " " + to_text(point.severity);
  for (const auto& [name, value] : parameter_words(point.params)) {
    if (name != "bit" && name != "field") kind += " " + name + "=" + value;
  }
  return kind;
}

}  // namespace

std::map<std::string, std::string> parameter_words(const std::string& canonical) {
  std::map<std::string, std::string> words;
  for (const auto& word : split(canonical, ' ')) {
    const auto equals = word.find('=');
    if (equals != std::string::npos) words[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return words;
}

std::set<int> chosen_bits(const std::map<std::string, std::string>& words, const Format& format) {
  const auto word = [&](const char* name) {
    const auto found = words.find(name);
    return found == words.end() ? std::string("all") : found->second;
  };
  std::set<int> chosen;
  if (word("bit") != "all") {
    for (const auto& bit : split(word("bit"), '+'))
      chosen.insert(static_cast<int>(parse_integer(bit, "bit of a point", 0, format.bits - 1)));
  }
  std::set<int> bits;
  for (const BitField& field : format.fields) {
    if (word("field") != "all" && word("field") != field.name) continue;
    for (int bit = field.low; bit < field.low + field.bits; ++bit) {
      if (word("bit") == "all" || chosen.contains(bit)) bits.insert(bit);
    }
  }
  return bits;
}

std::vector<Stratification> stratifications(const ResultFile& file) {
  std::vector<Stratification> found;
  std::map<std::string, std::size_t> of_kind;
  for (const auto& point : file.points()) {
    if (point.population == 0) continue;
    const auto at = of_kind.emplace(kind_of(point), found.size());
    if (at.second) found.emplace_back();
    auto& strata = found[at.first->second];
    strata.points.push_back(point.index);
    strata.population += point.population;
  }
  std::erase_if(found, [&](const Stratification& strata) {
    if (strata.points.size() < 2) return true;
    std::vector<Place> places;
    for (const auto index : strata.points) {
      places.push_back(place_of(file.points()[static_cast<std::size_t>(index)]));
      if (std::any_of(places.begin(), places.end() - 1,
                      [&](const Place& other) { return other.overlaps(places.back()); }))
        return true;
    }
    return false;
  });
  return found;
}

Estimate stratified_rate(const ResultFile& file, const Stratification& strata, const Rate& rate,
                         IntervalMethod method, double confidence) {
  std::vector<StratumShare> shares;
  for (const auto index : strata.points) {
    const auto& point = file.points()[static_cast<std::size_t>(index)];
    shares.push_back({static_cast<double>(point.population) / static_cast<double>(strata.population),
                      tally(file, point, rate).estimate(method, confidence)});
  }
  return stratified_share(shares);
}

}  // namespace temblor
