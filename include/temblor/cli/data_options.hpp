#pragma once

#include <string>
#include <vector>

#include <temblor/cli/subcommand.hpp>
#include <temblor/data/dataset.hpp>

namespace temblor::cli {

/// --dataset (required), --split, --select and --data-dir: the same in every subcommand that reads images.
std::vector<Option> data_options(const std::string& split = "test");
/// What they ask for; usage error for an unknown split.
DataRequest data_request(const Arguments& arguments);
/// "train" or "test"; usage error for others.
Split parse_split(const std::string& text);
std::string split_name(Split split);
/// Whether the test images hold the training images themselves: a file without splits.
bool same_images(const Dataset& train, const Dataset& test);

}  // namespace temblor::cli
