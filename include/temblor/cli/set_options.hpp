#pragma once

#include <string>
#include <vector>

#include <temblor/bounds/bound.hpp>
#include <temblor/cli/subcommand.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor::cli {

/// --ball, --layers, --biases, --weights, --rounding, --input-eps and --golden: what, besides a severity,
/// names a threat set and what is to be proven on it. The same in every subcommand that bounds sets.
std::vector<Option> set_options();
/// --eps, the severities of those sets.
Option severity_option(bool required = true);

/// The sets that --eps and set_options() name around `network`, in the order of the severities. Usage errors
/// for what is no size, given twice, or does not go together.
std::vector<ThreatSet> threat_sets(const Arguments& arguments, const StoredNetwork& stored);
/// The set of one severity, whatever --eps says.
ThreatSet threat_set(const Arguments& arguments, const StoredNetwork& stored, double severity);
/// --golden: the images' labels become the network's own predictions, from its logits [images x classes].
void choose_labels(const Arguments& arguments, const Matrix& logits, Dataset& data);

/// --set: BOUND.PARAMETER=VALUE.
Option bound_params_option();
/// What --set says, checked; `names` are the bounds that may be meant.
BoundParams bound_params(const Arguments& arguments, const std::vector<std::string>& names);

}  // namespace temblor::cli
