#pragma once

#include <cstddef>
#include <vector>

#include <temblor/campaign/census_file.hpp>
#include <temblor/cli/sections.hpp>
#include <temblor/perturb/stored.hpp>

namespace temblor::cli {

/// What is printed and stored beside the dense arrays: layers (by field), bits, and the `top` most critical.
std::vector<Section> census_sections(const StoredNetwork& stored, const Census& census,
                                     const CensusIdentity& of, std::size_t top);

}  // namespace temblor::cli
