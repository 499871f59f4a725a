#include "certificate_rows.hpp"

#include <temblor/base/error.hpp>

namespace temblor {
namespace {

std::int64_t whole(std::size_t value) {
  return static_cast<std::int64_t>(value);
}

/// A dataset with one value for each combination of `sizes`, or nothing when the file does not have it.
template <class T>
std::vector<T> values(const ResultFile& file, const std::string& path, const hdf5::Dims& sizes) {
  if (!file.file().has(path)) return {};
  if (file.file().dims(path) != sizes)
    input_error(file.path() + ", " + path, "its dimensions are not those of the file's tables",
                "the file is damaged; make it again with temblor certify");
  return file.file().read<T>(path);
}

template <class T>
Cell cell(const std::vector<T>& from, std::size_t i) {
  if (from.empty()) return {};
  if constexpr (std::is_same_v<T, std::uint8_t>) return from[i] != 0;
  if constexpr (std::is_same_v<T, double>) return from[i];
}

struct Names {
  std::vector<std::string> layers, bounds, refused;
  std::vector<double> severities;
  std::vector<double> margin;

  explicit Names(const ResultFile& file) {
    if (!file.file().has("/certificates")) {
      input_error(file.path() + " has no such table", "it holds no certificates",
                  "give a file made by temblor certify -o");
    }
    layers = file.file().read_strings("/cases/layers");
    bounds = file.file().read_strings("/certifiers/name");
    refused = file.file().read_strings("/certifiers/refused");
    severities = file.file().read<double>("/severities/value");
    margin = file.golden_margin(0);
    if (refused.size() != bounds.size())
      input_error(file.path() + ", /certifiers", "its columns differ in length",
                  "the file is damaged; make it again with temblor certify");
  }
};

}  // namespace

void certificate_rows(const ResultFile& file, RowWriter& writer) {
  const Names names(file);
  const auto images = names.margin.size(), severities = names.severities.size(), bounds = names.bounds.size();
  const hdf5::Dims sizes{names.layers.size(), bounds, severities, images};
  const auto drop = values<double>(file, "/certificates/drop", sizes);
  const auto drop32 = values<double>(file, "/certificates/drop_float32", sizes);
  const auto proven = values<std::uint8_t>(file, "/certificates/proven", sizes);
  const auto proven32 = values<std::uint8_t>(file, "/certificates/proven_float32", sizes);
  const auto attack = values<double>(file, "/attacked/drop", {names.layers.size(), severities, images});
  std::size_t i = 0;
  for (std::size_t c = 0; c < names.layers.size(); ++c) {
    for (std::size_t b = 0; b < bounds; ++b) {
      for (std::size_t s = 0; s < severities; ++s) {
        for (std::size_t n = 0; n < images; ++n, ++i) {
          if (!names.refused[b].empty()) continue;
          writer.add({names.layers[c], names.bounds[b], names.severities[s], whole(n), file.sample_index()[n],
                      std::int64_t{file.labels()[n]}, names.margin[n], cell(drop, i), cell(drop32, i),
                      cell(proven, i), cell(proven32, i), cell(attack, (c * severities + s) * images + n)});
        }
      }
    }
  }
}

void radius_rows(const ResultFile& file, RowWriter& writer) {
  const Names names(file);
  const auto images = names.margin.size(), bounds = names.bounds.size();
  const auto radius = values<double>(file, "/certificates/radius", {names.layers.size(), bounds, images});
  const auto attack = values<double>(file, "/attacked/radius", {names.layers.size(), images});
  std::size_t i = 0;
  for (std::size_t c = 0; c < names.layers.size(); ++c) {
    for (std::size_t b = 0; b < bounds; ++b) {
      for (std::size_t n = 0; n < images; ++n, ++i) {
        if (!names.refused[b].empty()) continue;
        writer.add({names.layers[c], names.bounds[b], whole(n), file.sample_index()[n],
                    std::int64_t{file.labels()[n]}, names.margin[n], cell(radius, i),
                    cell(attack, c * images + n)});
      }
    }
  }
}

}  // namespace temblor
