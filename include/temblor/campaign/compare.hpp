#pragma once

#include <string>
#include <vector>

#include <temblor/campaign/result_file.hpp>

namespace temblor {

/// Holds every point's drops against every bound that covers its threat set: `campaign` has points and
/// margins, `bounds` the bounds (the same file, or one by `temblor bound` for the same network and dataset:
/// refused otherwise). Rows in the order point, bound.
std::vector<CheckRow> compare(const ResultFile& campaign, const ResultFile& bounds);

}  // namespace temblor
