#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/campaign/trial_columns.hpp>
#include <temblor/evaluate/evaluator.hpp>

namespace temblor {
namespace {

using hdf5::Dims;

/// Reads columns of one table and refuses ragged ones.
class Table {
 public:
  Table(const hdf5::File& file, std::string group) : file_(file), group_(std::move(group)) {}

  template <class T>
  std::vector<T> column(const std::string& name) {
    return sized(file_.read<T>(group_ + name), name);
  }
  std::vector<std::string> strings(const std::string& name) {
    return sized(file_.read_strings(group_ + name), name);
  }
  std::size_t rows() const { return rows_.value_or(0); }

 private:
  template <class T>
  std::vector<T> sized(std::vector<T> values, const std::string& name) {
    if (!rows_) rows_ = values.size();
    if (*rows_ != values.size()) {
      input_error(file_.file_name() + ", " + group_ + name,
                  std::to_string(values.size()) + " rows, its table has " + std::to_string(*rows_),
                  "the file is damaged; make it again with temblor run");
    }
    return values;
  }

  const hdf5::File& file_;
  std::string group_;
  std::optional<std::size_t> rows_;
};

[[noreturn]] void damaged(const hdf5::File& file, const std::string& object, const std::string& why) {
  input_error(file.file_name() + ", " + object, why, "the file is damaged; make it again with temblor run");
}

void check_row(const hdf5::File& file, const std::string& object, std::int64_t row, std::size_t rows) {
  if (row < 0 || static_cast<std::size_t>(row) >= rows) {
    damaged(file, object, "row " + std::to_string(row) + " of a table of " + std::to_string(rows));
  }
}

std::vector<PointRow> read_points(const hdf5::File& file, const std::vector<std::string>& formats,
                                  std::size_t threats) {
  Table table(file, "/points/");
  const auto index = table.column<std::int64_t>("index");
  const auto attack = table.strings("attack");
  const auto format = table.column<std::int64_t>("format");
  const auto layers = table.strings("layers");
  const auto severity = table.column<double>("severity");
  const auto acting = file.has("/points/acting") ? table.column<double>("acting") : severity;
  const auto quantity = table.strings("quantity");
  const auto unit = table.strings("unit");
  const auto params = table.strings("params");
  const auto threat = table.column<std::int64_t>("threat");
  const auto first = table.column<std::int64_t>("first_trial");
  const auto trials = table.column<std::int64_t>("trials");
  const auto per_sample = table.column<std::uint8_t>("per_sample");
  // Files of minor versions 0 and 1 know no protections.
  std::vector<std::string> protection(table.rows(), "none");
  std::vector<std::int64_t> stream = index, stored(table.rows(), 0), overhead(table.rows(), 0);
  if (file.has("/points/protection")) {
    protection = table.strings("protection");
    stream = table.column<std::int64_t>("stream");
    stored = table.column<std::int64_t>("stored_bits");
    overhead = table.column<std::int64_t>("overhead_bits");
  }
  // Files of minor version 1 have neither.
  auto most = trials;
  std::vector<std::int64_t> population(table.rows(), 0);
  if (file.has("/points/trials_most")) most = table.column<std::int64_t>("trials_most");
  if (file.has("/points/population")) population = table.column<std::int64_t>("population");
  std::vector<PointRow> points;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    check_row(file, "/points/format", format[i], formats.size());
    check_row(file, "/points/threat", threat[i], threats);
    if (index[i] != static_cast<std::int64_t>(i))
      damaged(file, "/points/index", "it does not count up from 0");
    points.push_back({index[i],
                      attack[i],
                      formats[static_cast<std::size_t>(format[i])],
                      format[i],
                      layers[i],
                      severity[i],
                      quantity[i],
                      unit[i],
                      params[i],
                      threat[i],
                      first[i],
                      trials[i],
                      per_sample[i] != 0,
                      acting[i],
                      protection[i],
                      stream[i],
                      stored[i],
                      overhead[i],
                      most[i],
                      population[i]});
  }
  return points;
}

std::vector<TrialRow> read_trials(const hdf5::File& file, std::size_t points) {
  Table table(file, "/trials/");
  const auto point = table.column<std::int64_t>("point");
  std::vector<TrialRow> rows(point.size());
  const auto outcome = table.column<std::uint8_t>("outcome");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    check_row(file, "/trials/point", point[i], points);
    rows[i].point = point[i];
    rows[i].outcome = outcome[i] == 1 ? Outcome::done : Outcome::failed;
  }
  for (const auto& [name, member, since] : trial_whole_columns) {
    if (since > 0 && !file.has(std::string("/trials/") + name)) continue;
    const auto values = table.column<std::int64_t>(name);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].*member = values[i];
  }
  for (const auto& [name, member, since] : trial_real_columns) {
    const auto values = table.column<double>(name);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].*member = values[i];
  }
  return rows;
}

std::vector<ThreatRow> read_threats(const hdf5::File& file, std::size_t formats) {
  Table table(file, "/threats/");
  const auto key = table.strings("key");
  const auto ball = table.strings("ball");
  const auto severity = table.column<double>("severity");
  const auto layers = table.strings("layers");
  const auto biases = table.column<std::uint8_t>("biases");
  const auto format = table.column<std::int64_t>("format");
  // Files of minor version 0 have neither.
  std::vector<std::int64_t> weights(table.rows(), 0);
  std::vector<double> input(table.rows(), 0);
  if (file.has("/threats/weights")) weights = table.column<std::int64_t>("weights");
  if (file.has("/threats/input")) input = table.column<double>("input");
  std::vector<ThreatRow> rows;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    check_row(file, "/threats/format", format[i], formats);
    rows.push_back(
        {key[i], ball[i], severity[i], layers[i], biases[i] != 0, format[i], weights[i], input[i]});
  }
  return rows;
}

std::vector<BoundGroup> read_bounds(const hdf5::File& file, std::size_t threats) {
  std::vector<BoundGroup> bounds;
  if (!file.has("/bounds")) return bounds;
  for (const auto& name : file.group("/bounds").children()) {
    const std::string path = "/bounds/" + name;
    BoundGroup bound;
    bound.name = name;
    bound.guarantee = file.text("guarantee", path).value_or("");
    bound.reference = file.text("reference", path).value_or("");
    bound.rounding = file.text("rounding", path).value_or("");
    bound.params = file.text("params", path).value_or("");
    if (file.has(path + "/threat")) bound.threats = file.read<std::int64_t>(path + "/threat");
    bound.arithmetic = file.has(path + "/arithmetic");
    bound.attained = file.has(path + "/attained");
    if (file.has(path + "/mean")) {
      bound.mean = file.read<double>(path + "/mean");
      bound.mean_arithmetic.assign(bound.mean.size(), 0);
      if (bound.arithmetic) bound.mean_arithmetic = file.read<double>(path + "/mean_arithmetic");
      if (bound.mean.size() != bound.threats.size() || bound.mean_arithmetic.size() != bound.mean.size())
        damaged(file, path + "/mean", "not one number a covered set");
    }
    if (file.has(path + "/refused_threat")) {
      bound.refused = file.read<std::int64_t>(path + "/refused_threat");
      bound.reasons = file.read_strings(path + "/refused_reason");
      if (bound.reasons.size() != bound.refused.size())
        damaged(file, path, "refused sets and reasons differ in number");
    }
    for (const auto row : bound.threats) check_row(file, path + "/threat", row, threats);
    for (const auto row : bound.refused) check_row(file, path + "/refused_threat", row, threats);
    bounds.push_back(std::move(bound));
  }
  return bounds;
}

std::vector<CheckRow> read_checks(const hdf5::File& file) {
  std::vector<CheckRow> rows;
  if (!file.has("/checks")) return rows;
  Table table(file, "/checks/");
  const auto point = table.column<std::int64_t>("point");
  const auto bound = table.strings("bound");
  const auto threat = table.column<std::int64_t>("threat");
  const auto compared = table.column<std::int64_t>("compared");
  const auto violated = table.column<std::int64_t>("violated");
  const auto tolerance = table.column<double>("tolerance");
  const auto tightness_max = table.column<double>("tightness_max");
  const auto worst_sample = table.column<std::int64_t>("worst_sample");
  const auto worst_trial = table.column<std::int64_t>("worst_trial");
  const auto worst_drop = table.column<double>("worst_drop");
  const auto worst_bound = table.column<double>("worst_bound");
  const auto tightness = file.read<double>("/checks/tightness");
  const bool means = file.has("/checks/mean_drop");
  const std::vector<double> none(table.rows(), std::numeric_limits<double>::quiet_NaN());
  const auto mean_drop = means ? table.column<double>("mean_drop") : none;
  const auto mean_bound = means ? table.column<double>("mean_bound") : none;
  const std::size_t width = table.rows() == 0 ? 0 : tightness.size() / table.rows();
  if (width * table.rows() != tightness.size()) damaged(file, "/checks/tightness", "ragged rows");
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const auto* begin = tightness.data() + i * width;
    rows.push_back({point[i], bound[i], threat[i], compared[i], violated[i], tolerance[i], tightness_max[i],
                    std::vector<double>(begin, begin + width), worst_sample[i], worst_trial[i], worst_drop[i],
                    worst_bound[i], mean_drop[i], mean_bound[i]});
  }
  return rows;
}

hdf5::File open_result(const std::string& path) {
  auto file = hdf5::File::open(path, hdf5::File::Mode::read);
  const auto filetype = file.text("filetype");
  if (filetype == partial_filetype) {
    input_error(path, "an unfinished campaign",
                "finish it with the temblor run command that began it, then open the "
                "file without .partial");
  }
  const bool other = filetype == bounds_filetype || filetype == certificates_filetype;
  hdf5::check_stamp(file, other ? *filetype : result_filetype, result_major);
  return file;
}

}  // namespace

ResultFile::ResultFile(const std::string& path)
    : file_(open_result(path)), bounds_only_(file_.text("filetype") != result_filetype) {
  title_ = file_.text("title").value_or("");
  campaign_id_ = file_.text("campaign_id").value_or("");
  network_id_ = file_.text("network_id").value_or("");
  dataset_id_ = file_.text("dataset_id").value_or("");
  formats_ = file_.read_strings("/formats/name");
  classes_ = static_cast<Index>(file_.read<std::int64_t>("/classes/index").size());
  Table samples(file_, "/samples/");
  sample_index_ = samples.column<std::int64_t>("index");
  labels_ = samples.column<std::int32_t>("label");
  for (const auto label : labels_)
    check_row(file_, "/samples/label", label, static_cast<std::size_t>(classes_));
  threats_ = read_threats(file_, formats_.size());
  bounds_ = read_bounds(file_, threats_.size());
  if (bounds_only_) return;
  if (const auto seed = file_.get<std::uint64_t>("seed"); seed && seed->size() == 1) seed_ = seed->front();
  points_ = read_points(file_, formats_, threats_.size());
  trials_ = read_trials(file_, points_.size());
  checks_ = read_checks(file_);
  for (const auto& check : checks_) check_row(file_, "/checks/point", check.point, points_.size());
  for (const auto& point : points_) {
    const auto rows = static_cast<std::int64_t>(trials_.size());
    if (point.first_trial < 0 || point.trials < 0 || point.first_trial > rows - point.trials) {
      damaged(file_, "/points", "trials of point " + std::to_string(point.index) + " lie outside /trials");
    }
  }
}

std::string ResultFile::spec() const {
  const auto text = file_.read_strings("/provenance/spec");
  if (text.size() != 1) damaged(file_, "/provenance/spec", "not one text");
  return text.front();
}

namespace {

template <class T>
std::vector<T> row_of(const hdf5::File& file, const std::string& path, std::int64_t row,
                      std::size_t samples) {
  const auto dims = file.dims(path);
  if (dims.size() != 2 || dims[1] != samples) damaged(file, path, "not one value an image and row");
  check_row(file, path, row, dims[0]);
  return file.read_slab<T>(path, {static_cast<std::uint64_t>(row), 0}, {1, dims[1]});
}

template <class M>
M block_of(const hdf5::File& file, const std::string& path, std::uint64_t row, Index samples, Index classes) {
  const auto dims = file.dims(path);
  const auto rows = static_cast<std::uint64_t>(samples);
  const auto columns = static_cast<std::uint64_t>(classes);
  if (dims.size() != 3 || dims[1] != rows || dims[2] != columns)
    damaged(file, path, "not one value a pair of classes");
  check_row(file, path, static_cast<std::int64_t>(row), dims[0]);
  const auto values = file.read_slab<typename M::Scalar>(path, {row, 0, 0}, {1, rows, columns});
  return Eigen::Map<const M>(values.data(), samples, classes);
}

}  // namespace

std::vector<std::int32_t> ResultFile::golden_prediction(std::int64_t format) const {
  return row_of<std::int32_t>(file_, "/samples/golden_prediction", format, labels_.size());
}

std::vector<double> ResultFile::golden_margin(std::int64_t format) const {
  return row_of<double>(file_, "/samples/golden_margin", format, labels_.size());
}

Matrix ResultFile::golden_logits(std::int64_t format) const {
  return block_of<Matrix>(file_, "/samples/golden_logits", static_cast<std::uint64_t>(format), samples(),
                          classes_);
}

MatrixD ResultFile::pair_margins(std::int64_t format) const {
  const MatrixD logits = golden_logits(format).cast<double>();
  MatrixD pairs(logits.rows(), logits.cols());
  for (Index n = 0; n < logits.rows(); ++n) {
    const double own = logits(n, labels_[static_cast<std::size_t>(n)]);
    pairs.row(n) = own - logits.row(n).array();
  }
  return pairs;
}

Margins ResultFile::margins(std::int64_t point) const {
  const auto n = labels_.size();
  Margins margins{row_of<double>(file_, "/margins/worst_drop", point, n),
                  row_of<std::int64_t>(file_, "/margins/worst_trial", point, n),
                  row_of<double>(file_, "/margins/worst_pair_drop", point, n),
                  row_of<std::int32_t>(file_, "/margins/worst_pair_class", point, n),
                  row_of<std::int64_t>(file_, "/margins/worst_pair_trial", point, n),
                  row_of<double>(file_, "/margins/drop_sum", point, n),
                  row_of<std::int64_t>(file_, "/margins/nonfinite", point, n)};
  for (std::size_t i = 0; i < n; ++i) {
    if (margins.worst_trial[i] >= 0)
      check_row(file_, "/margins/worst_pair_class", margins.worst_pair_class[i],
                static_cast<std::size_t>(classes_));
  }
  return margins;
}

MatrixD ResultFile::bound_value(const BoundGroup& group, std::size_t i) const {
  return block_of<MatrixD>(file_, "/bounds/" + group.name + "/value", i, samples(), classes_);
}

MatrixD ResultFile::bound_arithmetic(const BoundGroup& group, std::size_t i) const {
  if (!group.arithmetic) return {};
  return block_of<MatrixD>(file_, "/bounds/" + group.name + "/arithmetic", i, samples(), classes_);
}

MatrixD ResultFile::bound_attained(const BoundGroup& group, std::size_t i) const {
  if (!group.attained) return {};
  return block_of<MatrixD>(file_, "/bounds/" + group.name + "/attained", i, samples(), classes_);
}

}  // namespace temblor
