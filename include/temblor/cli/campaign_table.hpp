#pragma once

#include <temblor/campaign/result_file.hpp>
#include <temblor/report/table.hpp>

namespace temblor::cli {

/// One row a point: attack, severity, format, layers, trials, accuracy, SDC, worst drop, and what the bounds
/// say.
Table campaign_table(const ResultFile& result);

}  // namespace temblor::cli
