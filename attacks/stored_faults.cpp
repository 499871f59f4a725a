#include "stored_faults.hpp"

#include "codes.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

template <class T>
std::string joined(const std::vector<T>& numbers) {
  std::vector<std::string> words;
  for (const auto number : numbers) words.push_back(std::to_string(number));
  return join(words, "+");
}

/// Numbers joined by +, sorted, each once.
template <class T>
std::vector<T> parse_numbers(const std::string& text, const std::string& what, std::int64_t most) {
  std::set<T> numbers;
  for (const auto& word : split(text, '+')) {
    numbers.insert(static_cast<T>(parse_integer(word, what, 0, most)));
  }
  return {numbers.begin(), numbers.end()};
}

/// Bits of the words that faults may hit: those of `field` that are also in `bit`. Sorted.
std::vector<std::uint32_t> chosen_bits(const std::string& owner, const Format& format,
                                       const std::string& field, const std::string& bit) {
  std::vector<std::uint32_t> bits;
  std::vector<std::string> fields = {"all"};
  for (const auto& known : format.fields) {
    fields.push_back(known.name);
    if (known.name != field && field != "all") continue;
    for (int i = 0; i < known.bits; ++i) bits.push_back(static_cast<std::uint32_t>(known.low + i));
  }
  std::sort(bits.begin(), bits.end());
  if (bits.empty()) {
    usage_error(owner + "field '" + field + "'", "format " + format.name + " has no such field",
                "its fields are " + join(fields, ", "));
  }
  if (bit == "all") return bits;
  const auto wanted =
      parse_numbers<std::uint32_t>(bit, owner + "bit (of format " + format.name + ")", format.bits - 1);
  std::vector<std::uint32_t> both;
  std::set_intersection(bits.begin(), bits.end(), wanted.begin(), wanted.end(), std::back_inserter(both));
  if (both.empty()) {
    usage_error(owner + "bit '" + bit + "'",
                "field " + field + " of format " + format.name + " has none of these bits",
                "leave one of field and bit out");
  }
  return both;
}

std::vector<std::uint64_t> chosen_rows(const AttackContext& context, const std::string& owner,
                                       const std::vector<WordGrid>& grids) {
  const auto& text = context.params.text("channel");
  if (text == "all") return {};
  const auto rows = parse_numbers<std::uint64_t>(text, owner + "channel", 0xffffffff);
  for (const auto& grid : grids) {
    if (rows.back() < grid.rows) continue;
    usage_error(owner + "channel " + std::to_string(rows.back()),
                "layer '" + context.network.layer_name(static_cast<int>(grid.layer)) + "' stores " +
                    std::to_string(grid.rows) + " of them",
                "count from 0, and choose layers that have them all");
  }
  return rows;
}

std::vector<std::string> field_choices() {
  std::vector<std::string> fields = {"all"};
  for (const auto& format : format_table()) {
    for (const auto& field : format.fields) {
      if (std::find(fields.begin(), fields.end(), field.name) == fields.end()) fields.push_back(field.name);
    }
  }
  return fields;
}

}  // namespace

Draw draw_of(const Params& params) {
  const auto& mode = params.text("mode");
  return mode == "count" ? Draw::count : mode == "nested" ? Draw::nested : Draw::each;
}

ParamSpec mode_param(const std::string& each, const std::string& members) {
  return {.name = "mode",
          .type = ParamType::choice,
          .initial = each,
          .help = each + ": every one of the " + members +
                  " with the same probability; nested: the same, and at one trial the faults of a lower "
                  "rate are some of those of a higher one; count: exactly so many of them",
          .choices = {each, "nested", "count"}};
}

Quantity drawn_quantity(const Params& params, const std::string& rate, const Quantity& number,
                        const std::string& chance) {
  if (draw_of(params) == Draw::count) return number;
  return {rate, chance, "", 0, 1, false, true};
}

std::vector<std::uint64_t> draw_positions(const Stream& stream, Draw draw, std::uint64_t n, double severity) {
  Stream draws = stream;
  if (draw == Draw::count) return choose_distinct(draws, n, static_cast<std::uint64_t>(severity));
  if (draw == Draw::each) return choose_each(draws, n, severity);
  std::vector<std::uint64_t> positions;
  for (const auto& one : choose_nested(stream.across_points(), n, severity)) {
    positions.push_back(one.position);
  }
  return positions;
}

std::vector<Arrival> draw_arrivals(const Stream& stream, Draw draw, std::uint64_t n, double severity) {
  if (draw == Draw::nested) return choose_nested(stream.across_points(), n, severity);
  Stream draws = stream;
  const auto positions = draw == Draw::count ? choose_distinct(draws, n, static_cast<std::uint64_t>(severity))
                                             : choose_each(draws, n, severity);
  std::vector<Arrival> arrivals;
  for (const std::uint64_t position : positions) {
    const double hash = severity * draws.uniform();
    arrivals.push_back({position, hash, draws.word64()});
  }
  return arrivals;
}

ParamSpec value_param(const std::string& help, const std::vector<std::string>& choices) {
  return {.name = "value",
          .type = ParamType::choice,
          .initial = choices.front(),
          .help = help,
          .choices = choices};
}

Fill fill_of(const Params& params) {
  const auto& value = params.text("value");
  if (value == "random") return Fill::random;
  if (value == "invert") return Fill::invert;
  return value == "ones" || value == "1" ? Fill::ones : Fill::zero;
}

StoredFaults::StoredFaults(const AttackContext& context)
    : network_(context.network),
      layers_(context.layers),
      format_(context.format),
      severity_(context.severity),
      codes_(stored_codes(context, own_codes_)) {}

std::vector<WordGrid> StoredFaults::code_grids() const {
  std::vector<WordGrid> grids;
  for (const int layer : layers_) {
    const auto& encoded = codes()[static_cast<std::size_t>(layer)];
    grids.push_back({static_cast<std::uint32_t>(layer), encoded.rows, encoded.cols});
  }
  return grids;
}

std::uint32_t StoredFaults::all_bits() const {
  return 0xffffffffU >> static_cast<unsigned>(32 - format_.bits);
}

Perturbation StoredFaults::inverted(std::vector<BitAddress> bits) const {
  std::sort(bits.begin(), bits.end());
  bits.erase(std::unique(bits.begin(), bits.end()), bits.end());
  return with_faults(codes(), flips_of(codes(), bits));
}

void StoredFaults::refuse_more_than(std::uint64_t population, const std::string& attack,
                                    const std::string& what, const std::string& members) const {
  if (severity_ <= static_cast<double>(population)) return;
  usage_error("attack '" + attack + "', " + what + " " + to_text(severity_),
              "the chosen layers and bits hold " + std::to_string(population) + " " + members,
              "give at most that many");
}

ThreatSet StoredFaults::random_flips(const std::string& what) const {
  return bits_set(network_, what, severity_, layers_);
}

ThreatSet StoredFaults::bounded_flips(const std::string& what, std::uint64_t most, std::uint32_t mask) const {
  std::uint64_t bits = 0;
  for (const auto& grid : code_grids())
    bits += grid.rows * grid.cols * static_cast<unsigned>(std::popcount(mask));
  auto set =
      flips_set(network_, what, static_cast<std::int64_t>(std::min(most, bits)), layers_, {codes(), mask});
  set.severity = severity_;
  return set;
}

std::uint32_t Stratum::mask() const {
  std::uint32_t mask = 0;
  for (const unsigned bit : bits) mask |= std::uint32_t{1} << bit;
  return mask;
}

std::string Stratum::text() const {
  const auto chosen = bits.size() == static_cast<std::size_t>(word->bits) ? "all" : joined(bits);
  return chosen + (rows.empty() ? "" : " channel=" + joined(rows));
}

std::vector<ParamSpec> stratum_params() {
  return {
      {.name = "field",
       .type = ParamType::choice,
       .initial = "all",
       .help = "only bits of this field of the format (of fp32 for scales)",
       .choices = field_choices()},
      {.name = "bit",
       .type = ParamType::text,
       .initial = "all",
       .help = "only these bits: all, or numbers joined by + (0+7); bit 0 is the least significant"},
      {.name = "channel",
       .type = ParamType::text,
       .initial = "all",
       .help = "only weights of these outputs (rows) of every chosen layer: all, or numbers joined by +"},
  };
}

Stratum stratum_of(const AttackContext& context, const std::string& attack, const Format& word,
                   const std::vector<WordGrid>& grids) {
  const std::string owner = "attack '" + attack + "', ";
  return {&word, chosen_bits(owner, word, context.params.text("field"), context.params.text("bit")),
          chosen_rows(context, owner, grids)};
}

void Filling::add(const std::vector<std::uint64_t>& addresses, std::uint64_t mark) {
  Stream values(mark, {});
  std::uint32_t word = 0;
  unsigned used = 32;
  for (const std::uint64_t address : addresses) {
    bool flip = fill_ == Fill::invert;
    if (!flip) {
      const auto at = layout_.bit_at(address);
      const bool stored = (codes_[at.layer].codes[at.index] >> at.bit & 1U) != 0;
      bool value = fill_ == Fill::ones;
      if (fill_ == Fill::random) {
        if (used == 32) {
          word = values.word();
          used = 0;
        }
        value = (word >> used++ & 1U) != 0;
      }
      flip = value != stored;
    }
    cells_.emplace_back(address, flip);
  }
}

std::vector<BitAddress> Filling::flips() const {
  auto cells = cells_;
  std::stable_sort(cells.begin(), cells.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<BitAddress> bits;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool last = i + 1 == cells.size() || cells[i + 1].first != cells[i].first;
    if (last && cells[i].second) bits.push_back(layout_.bit_at(cells[i].first));
  }
  return bits;
}

}  // namespace temblor
