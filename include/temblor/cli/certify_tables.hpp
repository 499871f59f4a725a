#pragma once

#include <string>
#include <vector>

#include <temblor/campaign/certify.hpp>
#include <temblor/report/table.hpp>

namespace temblor::cli {

struct TitledTable {
  std::string name;  ///< key in JSON
  std::string title;
  Table table;
};

/// What `temblor certify` prints: accuracy a severity, radii, and what each layer alone does.
std::vector<TitledTable> certify_tables(const CertifyRequest& request, const Certificates& certificates);

}  // namespace temblor::cli
