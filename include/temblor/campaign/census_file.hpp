#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <temblor/evaluate/census.hpp>
#include <temblor/hdf5/file.hpp>

namespace temblor {

inline constexpr const char* census_filetype = "temblor-census";
inline constexpr std::int32_t census_major = 1;
inline constexpr std::int32_t census_minor = 0;

/// What a census was taken of.
struct CensusIdentity {
  std::string network_id;
  std::string dataset_id;
  std::string format;
  std::int64_t images = 0;
  std::int64_t correct = 0;  ///< without fault
  std::int64_t layers = 0;   ///< weighted layers of the network, chosen or not
};

/// Folds of the faults of one bit of one layer.
struct CensusFold {
  int layer = 0;
  int bit = 0;
  std::int64_t faults = 0;
  std::int64_t changing = 0;    ///< faults that change a prediction or leave some image without one
  std::int64_t detectable = 0;  ///< faults that leave some image without prediction
  std::int64_t changed = 0;     ///< sums over the faults
  std::int64_t broken = 0;
  std::int64_t fixed = 0;
  std::int64_t no_prediction = 0;
  std::int64_t least_correct = 0;  ///< images right under the worst fault
  double worst_drop = 0;

  void add(const CensusFold& other);  ///< layer and bit stay
};
/// One fold a layer and bit, layer by layer.
std::vector<CensusFold> fold_census(const Census& census, std::int64_t golden_correct);

/// One fault of a census.
struct CensusFault {
  std::size_t layer = 0;  ///< entry of Census::layers
  std::size_t fault = 0;  ///< in its arrays
};
/// The `count` most critical faults: most images lost (broken - fixed), then most changed or without
/// prediction, then the lowest layer, weight and bit. Only faults that change something.
std::vector<CensusFault> most_critical(const Census& census, std::size_t count);

/// Writes identity, chosen bits and the dense arrays /faults/LAYER/NAME [output x input x bit].
void write_census(const hdf5::File& file, const CensusIdentity& identity, const Census& census);

/// A finished census file. Bad-input error naming file, object and cure when it is none, or damaged.
struct CensusFile {
  explicit CensusFile(const std::string& path);

  std::string path;
  CensusIdentity identity;
  Census census;
};

/// Of every weight of every layer, [outputs x inputs] a layer: how many images the flips of its bits change
/// or leave without prediction, summed over the bits. Bad-input error when the census is of another network
/// or format, or leaves out a layer.
std::vector<std::vector<double>> census_importance(const CensusFile& census, const std::string& network_id,
                                                   const std::string& format);

}  // namespace temblor
