#pragma once

#include <map>
#include <string>
#include <vector>

#include <temblor/campaign/plan.hpp>
#include <temblor/campaign/runner.hpp>
#include <temblor/campaign/spec.hpp>
#include <temblor/cli/subcommand.hpp>

namespace temblor::cli {

/// Options that make up or override a campaign's spec, one for each quantity (--eps, --ber, ...) among them.
std::vector<Option> campaign_options();
/// The spec file of the arguments, if any, under environment (TEMBLOR_SEED, TEMBLOR_DATA) and flags.
/// Complete.
Spec campaign_spec(const Arguments& arguments);
/// "name=value" texts of an option, as a map; usage errors for other forms and for names given twice.
std::map<std::string, std::string> assignments(
    const std::vector<std::string>& texts, const std::string& option = "--set",
    const std::string& example = "steps=100 (temblor list attacks)");
/// --interval wilson|clopper-pearson
Option interval_option();
/// --threads, else TEMBLOR_THREADS, else all processors.
int thread_count(const Arguments& arguments);
/// Runs a campaign with the arguments' threads; words, and progress on a terminal, go to `streams.err`, and
/// so does the command that goes on where it was stopped.
RunReport run_campaign(const Plan& plan, const std::string& output, const Arguments& arguments,
                       const Streams& streams);
/// "25.6 MB"
std::string bytes_text(std::uint64_t bytes);

}  // namespace temblor::cli
