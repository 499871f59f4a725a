#pragma once

#include <temblor/cli/subcommand.hpp>

namespace temblor::cli {

/// Options of `temblor plan` that size a sampled campaign.
std::vector<Option> size_options();
/// `temblor plan --error ...`: how many single-bit faults to draw, and from which strata.
int run_size(const Arguments& arguments, const Streams& streams);
/// Usage error when options that only sizing has are given without --error.
void refuse_size_options(const Arguments& arguments);

}  // namespace temblor::cli
