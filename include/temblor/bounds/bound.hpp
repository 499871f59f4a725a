#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <temblor/base/params.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor {

/// Upper limits on pairwise margin drops over a threat set: value(n, j) >= f^{yj}(x_n) - f^^{yj}(x_n) for
/// EVERY perturbed network f^ of the set, y the label of image n; 0 at j = y.
struct BoundValues {
  MatrixD value;       ///< [images x classes], for exact real arithmetic, itself rounded outward
  MatrixD arithmetic;  ///< [images x classes]: what float32 evaluation of both networks, in any order, may
                       ///< add; empty unless asked for
  /// [images x classes]: the largest drop that a member of the set found on the way really has, in exact
  /// arithmetic, rounded inward; never NaN, 0 where none was found. Empty for bounds that look for none.
  MatrixD attained{};
  /// At least the mean margin drop over all images that ONE network of the set causes; empty for bounds that
  /// look at each image alone.
  std::optional<double> mean{};
  double mean_arithmetic = 0;  ///< what float32 evaluation may add to `mean`, when asked for
};

struct BoundContext {
  const Network& network;  ///< base network
  const Dataset& data;
  const ThreatSet& set;
  bool arithmetic = false;  ///< also compute BoundValues::arithmetic
  Params params{};          ///< of BoundEntry::params, checked
};

/// An analytic bound: one file in src/bounds and one line in src/bounds/table.cpp.
struct BoundEntry {
  std::string name;
  std::string help;       ///< one line
  std::string guarantee;  ///< what holds, for whom
  std::string reference;  ///< paper and theorem, or "theory, section N"
  /// "" when the bound covers this network and set, otherwise why not (shown to the user, never ignored).
  std::string (*refuses)(const Network& network, const ThreatSet& set);
  /// Image blocks run in parallel; the result does not depend on the threads.
  BoundValues (*compute)(const BoundContext& context);
  std::vector<ParamSpec> params{};
};

const std::vector<BoundEntry>& bound_table();
/// By name; usage error with the nearest name otherwise.
const BoundEntry& find_bound(std::string_view name);

/// Parameters of bounds as given: bound -> parameter -> text.
using BoundParams = std::map<std::string, std::map<std::string, std::string>>;
/// Adds `text` under `key`, "NAME.parameter". Usage errors: no such bound among `names`, no such parameter, a
/// value out of range.
void set_bound_param(BoundParams& given, const std::vector<std::string>& names, const std::string& key,
                     const std::string& text);
/// The bound's checked parameters, defaults filled in.
Params checked_params(const BoundEntry& entry, const BoundParams& given);

/// The margin drop that pairwise drops allow: margin - min_j (f^{yj} - value_j), per image. `pair_margins`
/// [images x classes] holds f^{yj} of the base network. Rounded outward.
VectorD margin_drop_bound(const MatrixD& pair_margins, const MatrixD& value,
                          const std::vector<std::int32_t>& labels);

}  // namespace temblor
