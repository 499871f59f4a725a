#pragma once

#include <string>

#include <temblor/data/dataset.hpp>

namespace temblor {

/// A reader and what it is to read.
struct Source {
  const DatasetEntry* entry;
  std::string path;
};

/// Resolves DataRequest::set and ::directory.
Source find_source(const DataRequest& request);

}  // namespace temblor
