#pragma once

#include "graph.hpp"

#include <map>
#include <string>
#include <vector>

#include <temblor/hdf5/file.hpp>

namespace temblor::keras {

/// A parameter as Keras stores it.
struct Tensor {
  hdf5::Dims dims;
  std::vector<float> values;  ///< finite, row-major
};

/// The parameters of a model file, by layer.
class WeightFile {
 public:
  /// Finds the group of the weights. Bad-input error when there is none.
  explicit WeightFile(const hdf5::File& file);

  /// Whether the layer has a parameter of this name: "kernel", "bias", "gamma", ...
  bool has(const LayerSpec& layer, const std::string& parameter);
  /// Bad-input error naming layer and parameter where it is missing, is no numbers, has NaN or Inf, or has
  /// not `dims`.
  Tensor read(const LayerSpec& layer, const std::string& parameter, const hdf5::Dims& dims);

 private:
  /// Path in the group by parameter.
  const std::map<std::string, std::string>& paths(const LayerSpec& layer);

  hdf5::Group root_;
  std::map<std::string, std::vector<std::string>> groups_;  ///< weight_names by group
  std::map<std::string, std::map<std::string, std::string>> paths_;
};

}  // namespace temblor::keras
