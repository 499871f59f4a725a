#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <temblor/bounds/bound.hpp>
#include <temblor/campaign/schema.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/types.hpp>

namespace temblor {

/// One point of a campaign as its file tells it (row of /points).
struct PointRow {
  std::int64_t index = 0;
  std::string attack;
  std::string format;
  std::int64_t format_index = 0;  ///< row of /formats
  std::string layers;             ///< "all" or "0+2"
  double severity = 0;
  std::string quantity;  ///< "eps", "ber", ...
  std::string unit;
  std::string params;            ///< canonical "a=1 b=0.5"
  std::int64_t threat = -1;      ///< row of /threats
  std::int64_t first_trial = 0;  ///< row of /trials where the point begins
  std::int64_t trials = 0;
  bool per_sample = false;  ///< a perturbation of its own for every image
  double acting = 0;        ///< the severity as the attack takes it: of a voltage the rate it gives
  std::string protection = "none";
  std::int64_t stream = 0;         ///< points of the same number have the same faults
  std::int64_t stored_bits = 0;    ///< of the network's weights in the format, scales included
  std::int64_t overhead_bits = 0;  ///< what the protection adds to them
  std::int64_t trials_most = 0;    ///< asked for; `trials` are fewer where `until` was met
  std::int64_t population = 0;     ///< faults that each trial draws one of; 0 for other trials
};

/// How a trial ended.
enum class Outcome : std::uint8_t { missing = 0, done = 1, failed = 2 };

/// One trial (row of /trials). Counts are those of TrialCounts and ProtectionCounts, sizes those of Norms.
struct TrialRow {
  std::int64_t point = 0;
  std::int64_t trial = 0;
  Outcome outcome = Outcome::missing;
  std::int64_t changed_weights = 0;
  std::int64_t flipped_bits = 0;
  double linf = 0;
  double l2 = 0;
  double relative = 0;
  std::int64_t correct = 0;
  std::int64_t argmax_correct = 0;
  std::int64_t changed = 0;
  std::int64_t changed_top5 = 0;
  std::int64_t broken = 0;
  std::int64_t fixed = 0;
  std::int64_t no_prediction = 0;
  double drop_sum = 0;
  double drop_max = 0;
  std::int64_t worst_sample = -1;
  std::int64_t corrected_words = 0;
  std::int64_t detected_words = 0;
  std::int64_t miscorrected_words = 0;
  std::int64_t undetected_words = 0;
  std::int64_t check_faults = 0;
};

/// Per-sample folds of one point over its trials, [samples] each (rows of /margins). Where no trial succeeded
/// drops are NaN and trials -1.
struct Margins {
  std::vector<double> worst_drop;              ///< largest margin drop
  std::vector<std::int64_t> worst_trial;       ///< its trial (the lowest on ties)
  std::vector<double> worst_pair_drop;         ///< largest drop of one pair f^{yj}
  std::vector<std::int32_t> worst_pair_class;  ///< its j
  std::vector<std::int64_t> worst_pair_trial;  ///< its trial
  std::vector<double> drop_sum;                ///< sum of finite drops
  std::vector<std::int64_t> nonfinite;         ///< trials without finite logits
};

/// One distinct set of perturbed networks (row of /threats).
struct ThreatRow {
  std::string key;   ///< ThreatSet::key
  std::string ball;  ///< as to_text(Ball)
  double severity = 0;
  std::string layers;
  bool biases = false;
  std::int64_t format = 0;   ///< row of /formats: the base network it is around
  std::int64_t weights = 0;  ///< k-weights: how many change
  double input = 0;          ///< l_inf radius around the image
};

/// "0 .. 255 before scaling", or "none stated": where images that move stay.
std::string image_range_text(const Dataset& data);
ThreatRow threat_row(const ThreatSet& set, const Network& network, std::int64_t format);

/// One bound of a file (group /bounds/NAME): values for the threat sets it covers, reasons for the others.
struct BoundGroup {
  std::string name;
  std::string guarantee;
  std::string reference;
  std::string rounding;                   ///< what was done about rounding errors
  std::vector<std::int64_t> threats;      ///< covered rows of /threats
  bool arithmetic = false;                ///< has the float32 term
  std::vector<std::int64_t> refused;      ///< rows of /threats that it does not cover
  std::vector<std::string> reasons;       ///< why, one each
  std::string params{};                   ///< canonical "a=1 b=0.5"; "" for none
  bool attained = false;                  ///< has drops of real perturbations
  std::vector<double> mean{};             ///< limits on the mean margin drop of one network, or empty
  std::vector<double> mean_arithmetic{};  ///< what float32 may add to them; with `mean` and `arithmetic`
};

/// One point held against one bound (row of /checks).
struct CheckRow {
  std::int64_t point = 0;
  std::string bound;
  std::int64_t threat = -1;
  std::int64_t compared = 0;        ///< images with a drop and a bound
  std::int64_t violated = 0;        ///< images whose drop exceeds bound + tolerance
  double tolerance = 0;             ///< largest allowance of an image, absolute
  double tightness_max = 0;         ///< largest drop / bound
  std::vector<double> tightness{};  ///< at the levels of check_quantiles
  std::int64_t worst_sample = -1;   ///< row of /samples with the largest drop / bound
  std::int64_t worst_trial = -1;
  double worst_drop = 0;
  double worst_bound = 0;
  /// Largest mean margin drop of a trial, whose one network serves all images, against the bound on it; NaN
  /// where the bound has none, or each image has a network of its own.
  double mean_drop = std::numeric_limits<double>::quiet_NaN();
  double mean_bound = std::numeric_limits<double>::quiet_NaN();

  bool mean_violated() const { return mean_drop > mean_bound; }
};

/// Levels of CheckRow::tightness.
inline constexpr double check_quantiles[] = {0.05, 0.25, 0.5, 0.75, 0.95};

/// A finished result file (or a file of bounds, or of certificates: then there are no points). Opens files of
/// the same major version, refuses others naming both; unknown additions are ignored. Tables are read when
/// opened, per-sample data on request.
class ResultFile {
 public:
  /// Bad-input error naming file, object and cure when it is no such file, truncated, or not finished.
  explicit ResultFile(const std::string& path);

  const std::string& path() const { return file_.file_name(); }
  const hdf5::File& file() const { return file_; }
  bool bounds_only() const { return bounds_only_; }  ///< of bounds or certificates: no points
  const std::string& title() const { return title_; }
  const std::string& campaign_id() const { return campaign_id_; }
  const std::string& network_id() const { return network_id_; }
  const std::string& dataset_id() const { return dataset_id_; }
  std::uint64_t seed() const { return seed_; }
  std::string spec() const;  ///< resolved spec, TOML

  const std::vector<std::string>& formats() const { return formats_; }
  const std::vector<PointRow>& points() const { return points_; }
  const std::vector<TrialRow>& trials() const { return trials_; }
  const std::vector<ThreatRow>& threats() const { return threats_; }
  const std::vector<BoundGroup>& bounds() const { return bounds_; }
  const std::vector<CheckRow>& checks() const { return checks_; }

  Index samples() const { return static_cast<Index>(labels_.size()); }
  Index classes() const { return classes_; }
  const std::vector<std::int64_t>& sample_index() const { return sample_index_; }
  const std::vector<std::int32_t>& labels() const { return labels_; }
  std::vector<std::int32_t> golden_prediction(std::int64_t format) const;  ///< [samples]
  std::vector<double> golden_margin(std::int64_t format) const;            ///< [samples]
  Matrix golden_logits(std::int64_t format) const;                         ///< [samples x classes]
  MatrixD pair_margins(std::int64_t format) const;  ///< f^{yj} of the base network, [samples x classes]
  Margins margins(std::int64_t point) const;
  /// Values of the bound for entry `i` of group.threats, [samples x classes]; arithmetic is empty when not
  /// stored.
  MatrixD bound_value(const BoundGroup& group, std::size_t i) const;
  MatrixD bound_arithmetic(const BoundGroup& group, std::size_t i) const;
  /// Empty when not stored.
  MatrixD bound_attained(const BoundGroup& group, std::size_t i) const;

 private:
  hdf5::File file_;
  bool bounds_only_ = false;
  std::uint64_t seed_ = 0;
  std::string title_, campaign_id_, network_id_, dataset_id_;
  std::vector<std::string> formats_;
  std::vector<PointRow> points_;
  std::vector<TrialRow> trials_;
  std::vector<ThreatRow> threats_;
  std::vector<BoundGroup> bounds_;
  std::vector<CheckRow> checks_;
  std::vector<std::int64_t> sample_index_;
  std::vector<std::int32_t> labels_;
  Index classes_ = 0;
};

/// Pieces of the file, written in the schema's form. Used for campaigns and for `temblor bound`.
void write_samples(const hdf5::Group& file, const std::vector<std::int64_t>& index,
                   const std::vector<std::int32_t>& labels, const std::vector<std::string>& formats,
                   const std::vector<const Matrix*>& golden_logits);
void write_threats(const hdf5::Group& file, const std::vector<ThreatRow>& threats);
/// `values`: one entry an entry of group.threats, matrices [samples x classes] (`arithmetic` only where
/// group.arithmetic; an empty `attained` is written as zeros when another set's is not empty).
void write_bound(const hdf5::Group& file, const BoundGroup& group, const std::vector<BoundValues>& values);
void write_checks(const hdf5::Group& file, const std::vector<CheckRow>& checks);

}  // namespace temblor
