#include "generalize_study.hpp"

#include <algorithm>
#include <cmath>

#include <temblor/bounds/interval.hpp>
#include <temblor/stats/proportion.hpp>

namespace temblor::cli {
namespace {

std::vector<double> eps_by_layer(const GeneralizeStudy& study, double eps) {
  std::vector<double> by_layer(static_cast<std::size_t>(study.network.layers()), 0.0);
  for (const int layer : study.layers) by_layer[static_cast<std::size_t>(layer)] = eps;
  return by_layer;
}

}  // namespace

Section layer_section(const GeneralizeStudy& study, const std::vector<LayerNorms>& norms) {
  Section section{"layers",
                  "Norms, rounded up",
                  {{"layer", "", "weighted layer"},
                   {"name", "", "its name"},
                   {"inputs", "", "columns of W"},
                   {"outputs", "", "rows of W"},
                   {"perturbed", "", "whether its weights move"},
                   {"spectral", "", "s, largest singular value"},
                   {"two-one", "", "b = norm_{2,1}(W^T), sum of the l2-norms of the rows"},
                   {"row", "", "c = norm_{1,inf}(W^T), largest l1-norm of a row"},
                   {"column", "", "c', largest l1-norm of a column"},
                   {"readers", "units", "q, most outputs that read one input"}}};
  for (std::size_t m = 0; m < norms.size(); ++m) {
    const auto& layer = norms[m];
    const bool moves = std::binary_search(study.layers.begin(), study.layers.end(), static_cast<int>(m));
    section.add({static_cast<std::int64_t>(m), layer.name, std::int64_t{layer.inputs},
                 std::int64_t{layer.outputs}, moves, layer.spectral, layer.two_one, layer.row, layer.column,
                 std::int64_t{layer.readers}});
  }
  return section;
}

Section data_section(const GeneralizeStudy& study, const DataNorms& norms) {
  Section section{"data",
                  "Training images",
                  {{"images", "images", "n"},
                   {"l1", "", "X1, largest l1-norm of a training image"},
                   {"frobenius", "", "norm_F of all training images together"},
                   {"delta", "", "failure probability of each statement"}}};
  section.add({std::int64_t{norms.images}, norms.l1, norms.frobenius, study.delta});
  return section;
}

Section bound_section(const GeneralizeStudy& study, const std::vector<LayerNorms>& norms,
                      const DataNorms& data, const VectorD& margins) {
  Section section{
      "bound",
      "Margin bound: P[some network of the set misclassifies a new image] <= value",
      {{"eps", "weight", "largest change of a weight"},
       {"gamma", "logit", "margin asked for on training images"},
       {"class", "",
        "fixed: the class of networks has just these norms and X1, and was fixed before the images were "
        "seen; "
        "any: norms and slope on a grid, with a union bound over it, and the drop of each image from its own "
        "l1-norm"},
       {"drop", "logit", "largest drop D of a pair margin over the training images"},
       {"first", "", "share of training images with margin <= gamma + drop"},
       {"discretised", "", "8 / n^(3/2)"},
       {"complexity", "", "covering-number term"},
       {"confidence", "", "3 sqrt((ln(2 / delta) + cost) / (2 n)), cost > 0 for any class"},
       {"value", "", "sum of the four"},
       {"vacuous", "", "value >= 1: says nothing"}}};
  for (const double eps : study.eps) {
    const double slope = drop_slope(norms, eps_by_layer(study, eps));
    auto any = grid_class(norms, slope);
    any.cost += std::log(static_cast<double>(study.gamma.size()));
    const VectorD fixed_drop = VectorD::Constant(margins.size(), slope * data.l1);
    const VectorD any_drop = any.slope * data.image_l1;
    for (const double gamma : study.gamma) {
      const auto add = [&](const char* name, const VectorD& drop, const MarginBound& bound) {
        section.add({eps, gamma, std::string(name), drop.maxCoeff(), bound.first, bound.discretised,
                     bound.complexity, bound.confidence, bound.value(), bound.vacuous()});
      };
      add("fixed", fixed_drop, margin_bound(margins, fixed_drop, norms, data, gamma, study.delta, 0));
      add("any", any_drop, margin_bound(margins, any_drop, any.norms, data, gamma, study.delta, any.cost));
    }
  }
  return section;
}

Section image_section(const GeneralizeStudy& study, const Dataset& train,
                      const std::optional<Dataset>& test) {
  Section section{
      "images",
      "Bounds image by image: the first term with each image's own limit (an estimate: the theorem does not "
      "cover it), and a limit on the risk from test images that no network of the set misclassifies (holds "
      "with probability 1 - delta, if network and eps were chosen without these images)",
      {{"eps", "weight", "largest change of a weight"},
       {"bound", "", "bound on the drops of each image"},
       {"gamma", "logit", "margin asked for on training images"},
       {"train images", "images", "random training images looked at"},
       {"first", "", "share of them with margin <= gamma + drop"},
       {"lower", "", "95 % interval (Wilson) of that share over all training images"},
       {"upper", "", "its other end"},
       {"test images", "images", "random test images looked at"},
       {"not certified", "images", "test images that some network of the set may misclassify"},
       {"risk", "",
        "limit on P[some network of the set misclassifies a new image] (Clopper-Pearson, 1 - delta)"},
       {"refused", "", "why the bound does not apply"}}};
  const MatrixD pairs = exact_margins(study.network, train);
  const MatrixD test_pairs = test ? exact_margins(study.network, *test) : MatrixD{};
  for (const double eps : study.eps) {
    const auto set = linf_set(study.network, eps, study.layers, false);
    for (const auto* entry : study.bounds) {
      if (const auto why = entry->refuses(study.network, set); !why.empty()) {
        section.add({eps, entry->name, {}, {}, {}, {}, {}, {}, {}, {}, why});
        continue;
      }
      const Params params("bound '" + entry->name + "'", entry->params, {});
      const VectorD left = least_margins(
          pairs, entry->compute({study.network, train, set, false, params}).value, train.labels);
      std::vector<Cell> on_test{{}, {}, {}};
      if (test) {
        const VectorD margins = least_margins(
            test_pairs, entry->compute({study.network, *test, set, false, params}).value, test->labels);
        const auto open =
            static_cast<std::int64_t>((margins.array() > 0).select(0, VectorD::Ones(margins.size())).sum());
        on_test = {std::int64_t{test->size()}, open,
                   clopper_pearson(open, test->size(), 1 - 2 * study.delta).upper};
      }
      for (const double gamma : study.gamma) {
        const double share = share_within(left, VectorD::Zero(left.size()), gamma);
        const auto within = static_cast<std::int64_t>(std::llround(share * static_cast<double>(left.size())));
        const auto interval = wilson(within, left.size());
        const bool all = train.size() == study.train.size();
        section.add({eps, entry->name, gamma, std::int64_t{train.size()}, share, all ? share : interval.lower,
                     all ? share : interval.upper, on_test[0], on_test[1], on_test[2], std::string()});
      }
    }
  }
  return section;
}

}  // namespace temblor::cli
