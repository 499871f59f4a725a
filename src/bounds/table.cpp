#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/bounds/enclosure.hpp>
#include <temblor/bounds/exact.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/bounds/linear.hpp>
#include <temblor/bounds/norm.hpp>
#include <temblor/bounds/universal.hpp>

namespace temblor {
namespace {

constexpr const char* kSound =
    "no network of the set has a larger drop of any pair margin of any image, in exact arithmetic; "
    "computed in double, every product and sum widened by gamma_n";

std::vector<BoundEntry> make_table() {
  std::vector<BoundEntry> table{
      {"norm-product",
       "products of matrix norms along the layers; one layer, any subset or all; any graph (k-weights and "
       "flips: "
       "dense chains)",
       kSound, "Tsai, Hsu, Yu, Chen, arXiv 2103.02200, Theorems 1 and 2, as corrected in theory, section 2",
       refuses_norm, norm_product},
      {"norm-vector",
       "norm-product with one number a unit instead of one a layer; never looser; same networks", kSound,
       "theory, section 2, vector form", refuses_norm, norm_vector},
      {"interval",
       "interval bound propagation with weight intervals, margin row merged into a dense last layer; any "
       "graph",
       kSound, "theory, section 3", refuses_set, interval_bound},
      {"linear-fast",
       "backward linear relaxation, exact in the weights; hidden limits from interval propagation alone; "
       "never looser than interval; graphs of affine layers, relu, leaky-relu, clip and max-pool",
       kSound, "theory, section 4; CROWN (Zhang et al., NeurIPS 2018) extended to weights", refuses_linear,
       linear_fast_bound},
      {"linear",
       "linear-fast with hidden limits by the same backward pass: tighter from three hidden layers on; same "
       "networks",
       kSound, "theory, section 4; CROWN (Zhang et al., NeurIPS 2018) extended to weights", refuses_linear,
       linear_bound, linear_params()},
      {"linear-alpha",
       "linear with the slopes of its lines sought for every pair and hidden limit; never looser than "
       "linear; same "
       "networks",
       kSound, "theory, section 4; alpha-CROWN (Xu et al., ICLR 2021) extended to weights", refuses_linear,
       linear_alpha_bound, linear_alpha_params()},
      {"exact",
       "the worst case itself, by branch and bound on unstable units; small networks or boxes (--set "
       "exact.nodes, exact.gap); dense layers and relu: a whole chain, or the end of a network while what is "
       "before stays",
       std::string(kSound) + "; met by a member of the set up to the gap where nodes suffice",
       "theory, section 4b", refuses_exact, exact_bound, exact_params()},
      {"universal",
       "linear for each image, and a bound on the mean margin drop that one network can cause on all images; "
       "networks as for exact",
       kSound, "theory, section 4, shared weights", refuses_universal, universal_bound},
  };
  for (const auto& entry : table) {
    ensure(!entry.name.empty() && !entry.help.empty() && !entry.guarantee.empty() &&
               !entry.reference.empty() && entry.refuses != nullptr && entry.compute != nullptr,
           "every bound's table entry is complete");
  }
  return table;
}

}  // namespace

const std::vector<BoundEntry>& bound_table() {
  static const auto table = make_table();
  return table;
}

const BoundEntry& find_bound(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : bound_table()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  unknown_name("bound", name, names);
}

Params checked_params(const BoundEntry& entry, const BoundParams& given) {
  const auto found = given.find(entry.name);
  return {"bound '" + entry.name + "'", entry.params,
          found == given.end() ? std::map<std::string, std::string>{} : found->second};
}

void set_bound_param(BoundParams& given, const std::vector<std::string>& names, const std::string& key,
                     const std::string& text) {
  const auto dot = key.find('.');
  const auto name = key.substr(0, dot);
  if (dot == std::string::npos || dot == 0 || dot + 1 == key.size()) {
    usage_error("parameter '" + key + "'", "not of the form BOUND.parameter",
                "as in linear.steps=20 (temblor list bounds)");
  }
  if (std::find(names.begin(), names.end(), name) == names.end()) unknown_name("bound", name, names);
  const auto& entry = find_bound(name);
  const auto parameter = key.substr(dot + 1);
  if (entry.params.empty()) {
    usage_error("parameter '" + parameter + "' of bound '" + name + "'", "this bound has no parameters",
                "leave it out");
  }
  given[name][parameter] = text;
  checked_params(entry, given);
}

VectorD margin_drop_bound(const MatrixD& pair_margins, const MatrixD& value,
                          const std::vector<std::int32_t>& labels) {
  VectorD drop(pair_margins.rows());
  for (Index n = 0; n < pair_margins.rows(); ++n) {
    double before = std::numeric_limits<double>::infinity();
    double after = before;
    for (Index j = 0; j < pair_margins.cols(); ++j) {
      if (j == labels[static_cast<std::size_t>(n)]) continue;
      before = std::min(before, pair_margins(n, j));
      after = std::min(after, pair_margins(n, j) - value(n, j));
    }
    // The subtractions round, too: outward.
    drop(n) = before - after + 0x1p-51 * (std::abs(before) + std::abs(after));
  }
  return drop;
}

}  // namespace temblor
