#pragma once

#include <temblor/campaign/result_file.hpp>
#include <temblor/report/table.hpp>

namespace temblor {

/// Rows of tables `certificates` and `radii`. Bad-input error when the file has no certificates.
void certificate_rows(const ResultFile& file, RowWriter& writer);
void radius_rows(const ResultFile& file, RowWriter& writer);

}  // namespace temblor
