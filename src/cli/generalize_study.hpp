#pragma once

#include <optional>
#include <string>
#include <vector>

#include <temblor/bounds/bound.hpp>
#include <temblor/cli/sections.hpp>
#include <temblor/generalize/margin_bound.hpp>
#include <temblor/generalize/measured.hpp>
#include <temblor/generalize/pac_bayes.hpp>

namespace temblor::cli {

/// Everything `temblor generalize` was asked for.
struct GeneralizeStudy {
  const Network& network;
  const Dataset& train;
  const std::optional<Dataset>& test;  ///< empty: the data have no test split
  std::vector<double> eps;
  LayerSet layers;
  std::vector<double> gamma;
  double delta;
  std::vector<const BoundEntry*> bounds;
  Index images;  ///< of each split for bounds and attacks image by image; 0: none
  AttackPlan attack;
  std::int64_t draws;            ///< random perturbations; 0: none
  std::optional<Network> prior;  ///< centre of the prior; empty: 0
  PacBayesPlan pac_bayes;        ///< draws 0: none
  std::uint64_t seed;
};

/// The sections of the result, in the order in which they are printed.
std::vector<Section> study_generalization(const GeneralizeStudy& study);

/// Its parts: norms of the layers, norms of the images, the margin bound with all its terms, and what the
/// bounds say about some images of each split.
Section layer_section(const GeneralizeStudy& study, const std::vector<LayerNorms>& norms);
Section data_section(const GeneralizeStudy& study, const DataNorms& norms);
Section bound_section(const GeneralizeStudy& study, const std::vector<LayerNorms>& norms,
                      const DataNorms& data, const VectorD& margins);
Section image_section(const GeneralizeStudy& study, const Dataset& train, const std::optional<Dataset>& test);

}  // namespace temblor::cli
