#include "check_coverage.hpp"

#include <algorithm>
#include <ostream>

#include <temblor/base/text.hpp>
#include <temblor/campaign/coverage.hpp>
#include <temblor/cli/sections.hpp>

namespace temblor::cli {

int check_coverage(const std::string& census_path, const std::string& sampled_path, std::int64_t group,
                   bool json, const Streams& streams) {
  const CensusFile census(census_path);
  const ResultFile sampled(sampled_path);
  const Coverage found = coverage(census, sampled, group);
  const std::string size = std::to_string(group);
  Section rows{
      "coverage",
      "Shares of faults: the census knows them, the campaign estimates them (95 % intervals); groups of " +
          size + " trials are small campaigns of their own",
      {{"point", "", "row of /points"},
       {"layers", "", "its layers"},
       {"params", "", "its parameters"},
       {"effect", "", "what the faults do"},
       {"faults", "", "faults that the point draws from"},
       {"truth", "", "share of them with the effect, from the census", 5},
       {"trials", "", "successful trials"},
       {"estimate", "", "share of trials with the effect", 5},
       {"lower", "", "Wilson interval from all trials", 5},
       {"upper", "", "its other end", 5},
       {"covered", "", "it holds the truth"},
       {"groups", "", "groups of " + size + " trials"},
       {"Wilson", "", "groups whose Wilson interval holds the truth"},
       {"Clopper-Pearson", "",
        "groups whose Clopper-Pearson interval holds the truth: at least 95 % expected"}}};
  Section left{"unchecked", "Not checked", {{"point", "", "row of /points"}, {"reason", "", "why not"}}};
  std::int64_t contradicted = 0;
  for (const CoverageRow& row : found.rows) {
    const PointRow& point = sampled.points()[static_cast<std::size_t>(row.point)];
    const double estimate =
        static_cast<double>(row.hits) / static_cast<double>(std::max<std::int64_t>(1, row.trials));
    rows.add({row.point, point.layers, point.params, row.event, row.population, row.truth, row.trials,
              estimate, row.wilson.lower, row.wilson.upper,
              row.wilson.lower <= row.truth && row.truth <= row.wilson.upper, row.groups, row.wilson_covers,
              row.exact_covers});
    if (!row.contradicted()) continue;
    ++contradicted;
    streams.err << "temblor: point " << row.point << ", " << row.event
                << ": the campaign contradicts the census (" << row.hits << " of " << row.trials
                << " trials, " << row.exact_covers << " of " << row.groups << " groups cover "
                << to_text(row.truth) << ")\n";
  }
  for (const Uncovered& row : found.left) left.add({row.point, row.reason});
  if (json) {
    write_json(streams.out, {{"contradicted", std::to_string(contradicted)}}, {rows, left});
  } else {
    write_text(streams.out, {rows, left});
  }
  if (found.rows.empty())
    streams.err << "temblor: nothing was compared: no point draws single bits that the census has\n";
  return contradicted > 0 ? 1 : 0;
}

}  // namespace temblor::cli
