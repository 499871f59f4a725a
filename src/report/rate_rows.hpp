#pragma once

#include <temblor/report/result_tables.hpp>

namespace temblor {

std::vector<Column> rate_columns();
void rate_rows(const ResultFile& file, IntervalMethod method, RowWriter& writer);
std::vector<Column> stratum_columns();
void stratum_rows(const ResultFile& file, IntervalMethod method, RowWriter& writer);

}  // namespace temblor
