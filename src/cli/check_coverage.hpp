#pragma once

#include <cstdint>
#include <string>

#include <temblor/cli/subcommand.hpp>

namespace temblor::cli {

/// `temblor check CENSUS RESULT`: prints how often the campaign's intervals hold the census's shares; 1 when
/// they contradict each other, else 0.
int check_coverage(const std::string& census_path, const std::string& sampled_path, std::int64_t group,
                   bool json, const Streams& streams);

}  // namespace temblor::cli
