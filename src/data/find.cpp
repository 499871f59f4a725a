#include "find.hpp"

#include <cstdlib>
#include <filesystem>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

const DatasetEntry* entry_named(const std::string& name) {
  for (const auto& entry : dataset_table()) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

std::string kind_of_file(const std::string& path) {
  std::string name = std::filesystem::path(path).filename().string();
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (name.ends_with(".csv")) return "csv";
  if (name.ends_with(".h5") || name.ends_with(".hdf5")) return "hdf5";
  if (name.ends_with("-ubyte") || name.ends_with(".idx3") || name.ends_with(".idx")) return "idx";
  if (name.ends_with(".bin")) return "cifar10";
  return "";
}

Source source_of_path(const std::string& path, Split split) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    for (const auto* name : {"idx", "cifar10"}) {
      const DatasetEntry* entry = entry_named(name);
      if (entry->holds(path, split)) return {entry, path};
    }
    input_error("no data in the directory '" + path + "'", "neither IDX nor CIFAR-10 files are there",
                "check the path");
  }
  const std::string kind = kind_of_file(path);
  if (kind.empty()) {
    input_error("cannot tell what kind of data '" + path + "' holds", "its name has no known ending",
                "write KIND:PATH, as in csv:" + path);
  }
  return {entry_named(kind), path};
}

Source find_named(const DatasetEntry& entry, const DataRequest& request) {
  std::vector<std::string> places;
  const auto add = [&](const std::string& directory) {
    places.push_back(directory + "/" + entry.name);
    places.push_back(directory);
  };
  const char* environment = std::getenv("TEMBLOR_DATA");
  if (!request.directory.empty()) {
    add(request.directory);
  } else {
    if (environment != nullptr && *environment != '\0') add(environment);
    places.insert(places.end(), entry.places.begin(), entry.places.end());
  }
  for (const auto& place : places) {
    // mnist and fashion-mnist have files of the same names: never take one for the other.
    const std::string last = std::filesystem::path(place + "/").parent_path().filename().string();
    if (last != entry.name && entry_named(last) != nullptr) continue;
    if (entry.holds(place, request.split)) return {&entry, place};
  }
  const std::string split_name = request.split == Split::train ? "train" : "test";
  const std::string looked = places.empty() ? "nowhere to look" : "looked in " + join(places, ", ");
  const std::string install =
      entry.package.empty() ? "" : "install the Debian package " + entry.package + ", or ";
  input_error("data set '" + entry.name + "', " + split_name + " split, is not there", looked,
              install + "name its directory by --data-dir DIR or TEMBLOR_DATA");
}

}  // namespace

Source find_source(const DataRequest& request) {
  if (const DatasetEntry* entry = entry_named(request.set)) {
    if (entry->holds != nullptr && entry->classes != 0) return find_named(*entry, request);
    if (entry->name == "synthetic") return {entry, ""};
    usage_error("data set '" + request.set + "' has no path", "it is a kind of file",
                "write " + entry->name + ":PATH");
  }
  const auto colon = request.set.find(':');
  if (colon != std::string::npos) {
    if (const DatasetEntry* entry = entry_named(request.set.substr(0, colon)))
      return {entry, request.set.substr(colon + 1)};
  }
  std::error_code ignored;
  const bool path = request.set.find('/') != std::string::npos || !kind_of_file(request.set).empty() ||
                    std::filesystem::exists(request.set, ignored);
  if (path) return source_of_path(request.set, request.split);
  std::vector<std::string> names;
  for (const auto& entry : dataset_table()) names.push_back(entry.name);
  unknown_name("data set", request.set.substr(0, colon), names);
}

}  // namespace temblor
