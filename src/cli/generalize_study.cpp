#include "generalize_study.hpp"

#include <cmath>

#include <temblor/bounds/interval.hpp>
#include <temblor/stats/proportion.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor::cli {
namespace {

constexpr std::uint32_t generalize_point = 0x67656e65;  // ASCII "gene": apart from campaigns and training

/// What a stream of the study is for; the trial is the row of eps.
enum class Use : std::uint32_t { for_all, for_each_train, for_each_test, random, pac_bayes, images };

Stream stream_of(const GeneralizeStudy& study, std::size_t row, Use use) {
  return {study.seed,
          {generalize_point, static_cast<std::uint32_t>(row) * 8 + static_cast<std::uint32_t>(use), 0}};
}

Dataset subset(const Dataset& data, Index count, Stream stream) {
  if (count >= data.size()) return data;
  const auto rows =
      choose_distinct(stream, static_cast<std::uint64_t>(data.size()), static_cast<std::uint64_t>(count));
  Dataset some = data;
  some.images.resize(count, data.images.cols());
  some.labels.clear();
  some.index.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    some.images.row(static_cast<Index>(i)) = data.images.row(static_cast<Index>(rows[i]));
    some.labels.push_back(data.labels[rows[i]]);
    some.index.push_back(data.index[rows[i]]);
  }
  return some;
}

/// Natural and attacked errors, and what perturbations do to the loss.
class Measurements {
 public:
  Measurements(const GeneralizeStudy& study, const Dataset& train_some,
               const std::optional<Dataset>& test_some)
      : study_(study), train_some_(train_some), test_some_(test_some) {}

  void measure() {
    const auto view = study_.network.view();
    const auto natural = performance(study_.network, view, study_.train);
    std::optional<Performance> natural_test;
    if (study_.test) natural_test = performance(study_.network, view, *study_.test);
    add(0, "none", natural, natural_test);
    for (std::size_t row = 0; row < study_.eps.size(); ++row) {
      const double eps = study_.eps[row];
      if (eps == 0) continue;
      const auto set = linf_set(study_.network, eps, study_.layers, false);
      const auto delta = worst_for_all(study_.network, study_.train, set, study_.attack,
                                       stream_of(study_, row, Use::for_all));
      const auto attacked = performance(study_.network, delta, study_.train);
      std::optional<Performance> test;
      if (study_.test) test = performance(study_.network, delta, *study_.test);
      add(eps, "one for all", attacked, test);
      if (study_.images > 0) each(row, eps, set);
      sharp(row, eps, set, natural, attacked);
    }
  }

  Section gaps{
      "gap",
      "Measured: errors, and test error minus training error",
      {{"eps", "weight", "largest change of a weight"},
       {"perturbation", "",
        "none; one for all images, found by weight-pgd on the training images and applied to both splits; or "
        "found by weight-pgd for each image alone"},
       {"train images", "images", "training images it is measured on"},
       {"train error", "", "share of them without the right prediction"},
       {"test images", "images", "test images"},
       {"test error", "", "share of them without the right prediction"},
       {"gap", "", "test error - train error"},
       {"lower", "", "95 % interval of the gap (Newcombe's hybrid of two Wilson intervals)"},
       {"upper", "", "its other end"},
       {"train loss", "nat", "mean cross-entropy on training images"},
       {"test loss", "nat", "mean cross-entropy on test images"}}};
  Section sharpness{
      "sharpness",
      "Sharpness: rise of the mean training loss within the set",
      {{"eps", "weight", "largest change of a weight"},
       {"worst rise", "nat", "under the worst perturbation found by weight-pgd: at least that much"},
       {"draws", "", "random perturbations, uniform in the set"},
       {"mean rise", "nat", "mean rise over the draws"},
       {"deviation", "nat", "standard deviation over the draws"},
       {"largest rise", "nat", "largest rise of a draw"}}};

 private:
  void add(double eps, const char* name, const Performance& train, const std::optional<Performance>& test) {
    const auto known = [](double value) { return std::isnan(value) ? Cell{} : Cell{value}; };
    std::vector<Cell> row;
    for (auto&& cell : {Cell{eps}, Cell{std::string(name)}, Cell{train.images}, Cell{train.error()}})
      row.push_back(cell);
    if (test) {
      const auto a = wilson(test->wrong, test->images);
      const auto b = wilson(train.wrong, train.images);
      const double gap = test->error() - train.error();
      row.emplace_back(test->images);
      row.emplace_back(test->error());
      row.emplace_back(gap);
      row.emplace_back(gap - std::hypot(test->error() - a.lower, b.upper - train.error()));
      row.emplace_back(gap + std::hypot(a.upper - test->error(), train.error() - b.lower));
    } else {
      for (int i = 0; i < 5; ++i) row.emplace_back();
    }
    row.push_back(known(train.loss));
    row.push_back(test ? known(test->loss) : Cell{});
    gaps.add(std::move(row));
  }

  void each(std::size_t row, double eps, const ThreatSet& set) {
    const auto train = worst_for_each(study_.network, train_some_, set, study_.attack,
                                      stream_of(study_, row, Use::for_each_train));
    std::optional<Performance> test;
    if (test_some_) {
      test = worst_for_each(study_.network, *test_some_, set, study_.attack,
                            stream_of(study_, row, Use::for_each_test));
    }
    add(eps, "each image", train, test);
  }

  void sharp(std::size_t row, double eps, const ThreatSet& set, const Performance& natural,
             const Performance& attacked) {
    std::vector<Cell> cells{eps, attacked.loss - natural.loss, study_.draws, {}, {}, {}};
    if (study_.draws > 0) {
      Moments moments;
      const auto losses =
          random_losses(study_.network, study_.train, set, study_.draws, stream_of(study_, row, Use::random));
      for (const double loss : losses) moments.add(loss - natural.loss);
      cells[3] = moments.mean();
      if (study_.draws > 1) cells[4] = moments.deviation();
      cells[5] = moments.most();
    }
    sharpness.add(std::move(cells));
  }

  const GeneralizeStudy& study_;
  const Dataset& train_some_;
  const std::optional<Dataset>& test_some_;
};

Section left_out_section(const std::string& why) {
  Section section{
      "left-out", "Left out", {{"part", "", "what is missing"}, {"why", "", "why, and what would have it"}}};
  section.add({std::string("norms of the layers, margin bound"),
               why + ": train a chain with --no-bias and --activation relu or tanh to have them"});
  return section;
}

Section pac_bayes_section(const GeneralizeStudy& study) {
  Section section{"pac-bayes",
                  "PAC-Bayes estimate: error of networks with normal noise on every weight, all rows at once",
                  {{"sigma", "weight", "standard deviation of the noise, of posterior and prior"},
                   {"divergence", "nat", "KL(posterior || prior)"},
                   {"sampled", "", "mean training error of the networks drawn"},
                   {"error", "", "limit on the posterior's training error"},
                   {"bound", "", "limit on the posterior's error on new images"},
                   {"vacuous", "", "bound >= 1: says nothing"}}};
  if (study.pac_bayes.draws == 0) return section;
  const auto rows = pac_bayes(study.network, study.prior ? &*study.prior : nullptr, study.train,
                              study.pac_bayes, stream_of(study, 0, Use::pac_bayes));
  for (const auto& row : rows)
    section.add({row.sigma, row.divergence, row.sampled, row.error, row.bound, row.vacuous()});
  return section;
}

}  // namespace

std::vector<Section> study_generalization(const GeneralizeStudy& study) {
  const auto data = data_norms(study.train);
  std::vector<Section> sections;
  if (const auto why = refuses_margin_bound(study.network); why.empty()) {
    const auto norms = layer_norms(study.network);
    const VectorD margins =
        least_margins(exact_margins(study.network, study.train), MatrixD{}, study.train.labels);
    sections = {layer_section(study, norms), data_section(study, data),
                bound_section(study, norms, data, margins)};
  } else {
    sections = {left_out_section(why), data_section(study, data)};
  }
  const Dataset train_some = subset(study.train, study.images, stream_of(study, 0, Use::images));
  std::optional<Dataset> test_some;
  if (study.test) test_some = subset(*study.test, study.images, stream_of(study, 1, Use::images));
  if (study.images > 0 && !study.bounds.empty())
    sections.push_back(image_section(study, train_some, test_some));
  Measurements measurements(study, train_some, test_some);
  measurements.measure();
  sections.push_back(std::move(measurements.gaps));
  sections.push_back(std::move(measurements.sharpness));
  sections.push_back(pac_bayes_section(study));
  return sections;
}

}  // namespace temblor::cli
