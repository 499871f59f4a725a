#pragma once

#include <string>

#include <temblor/campaign/result_file.hpp>
#include <temblor/report/table.hpp>
#include <temblor/stats/estimate.hpp>

namespace temblor::cli {

/// One row a point: attack, severity, format, layers, trials, accuracy and SDC with intervals, quantiles of
/// the accuracy, worst drop, and what the bounds say.
Table campaign_table(const ResultFile& result, IntervalMethod method);
/// Rates of the populations that strata of the campaign make up; no rows when it has none.
Table strata_table(const ResultFile& result, IntervalMethod method);
/// A line that names the method of the intervals; "" when there are none.
std::string intervals_text(const ResultFile& result, IntervalMethod method);

}  // namespace temblor::cli
