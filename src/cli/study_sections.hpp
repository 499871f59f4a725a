#pragma once

#include <vector>

#include <temblor/campaign/compression.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/cli/sections.hpp>
#include <temblor/stats/estimate.hpp>

namespace temblor::cli {

/// Tables of a compression study: storage (a format without faults), rounding (a format and a bound),
/// compression (a format, protection and rate), tolerance (a format and protection).
std::vector<Section> compression_sections(const ResultFile& result, const std::vector<Rounding>& roundings,
                                          IntervalMethod method);

}  // namespace temblor::cli
