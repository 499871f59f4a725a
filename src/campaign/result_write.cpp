#include <algorithm>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/evaluate/evaluator.hpp>

namespace temblor {
namespace {

using hdf5::Dims;

template <class T>
void column(const hdf5::Group& file, const std::string& path, const std::vector<T>& values) {
  write_item(file, path, std::span<const T>(values), Dims{values.size()});
}

std::vector<std::int64_t> count_up(std::size_t n) {
  std::vector<std::int64_t> index(n);
  std::iota(index.begin(), index.end(), std::int64_t{0});
  return index;
}

/// values[i] = row.*member
template <class T, class Row>
std::vector<T> gather(const std::vector<Row>& rows, T Row::*member) {
  std::vector<T> values;
  values.reserve(rows.size());
  for (const auto& row : rows) values.push_back(row.*member);
  return values;
}

template <class M>
std::vector<typename M::Scalar> stack(const std::vector<M>& blocks, Index samples, Index classes) {
  std::vector<typename M::Scalar> all;
  for (const auto& block : blocks) {
    ensure(block.rows() == samples && block.cols() == classes, "values are [samples x classes]");
    all.insert(all.end(), block.data(), block.data() + block.size());
  }
  return all;
}

}  // namespace

void write_samples(const hdf5::Group& file, const std::vector<std::int64_t>& index,
                   const std::vector<std::int32_t>& labels, const std::vector<std::string>& formats,
                   const std::vector<const Matrix*>& golden_logits) {
  ensure(formats.size() == golden_logits.size() && !formats.empty(), "one golden run a format");
  const auto samples = static_cast<std::uint64_t>(index.size());
  const Index classes = golden_logits.front()->cols();
  std::vector<float> logits;
  std::vector<double> margins;
  std::vector<std::int32_t> predictions;
  for (const auto* block : golden_logits) {
    ensure(block->rows() == static_cast<Index>(samples) && block->cols() == classes,
           "logits are [samples x classes]");
    logits.insert(logits.end(), block->data(), block->data() + block->size());
    for (Index n = 0; n < block->rows(); ++n) {
      const float* row = block->data() + n * classes;
      predictions.push_back(predict(row, classes));
      margins.push_back(margin(row, classes, labels[static_cast<std::size_t>(n)]));
    }
  }
  const auto rows = static_cast<std::uint64_t>(formats.size());
  column(file, "/samples/index", index);
  column(file, "/samples/label", labels);
  write_item(file, "/samples/golden_prediction", std::span<const std::int32_t>(predictions), {rows, samples});
  write_item(file, "/samples/golden_margin", std::span<const double>(margins), {rows, samples});
  write_item(file, "/samples/golden_logits", std::span<const float>(logits),
             {rows, samples, static_cast<std::uint64_t>(classes)});
  column(file, "/classes/index", count_up(static_cast<std::size_t>(classes)));
  column(file, "/formats/index", count_up(formats.size()));
  write_item(file, "/formats/name", formats);
}

std::string image_range_text(const Dataset& data) {
  return data.least.size() > 0 ? "0 .. 255 before scaling" : "none stated";
}

ThreatRow threat_row(const ThreatSet& set, const Network& network, std::int64_t format) {
  return {set.key, to_text(set.ball), set.severity, layers_text(set.layers, network), set.biases,
          format,  set.budget.count,  set.input};
}

void write_threats(const hdf5::Group& file, const std::vector<ThreatRow>& threats) {
  std::vector<std::uint8_t> biases;
  for (const auto& row : threats) biases.push_back(row.biases ? 1 : 0);
  column(file, "/threats/index", count_up(threats.size()));
  write_item(file, "/threats/key", gather(threats, &ThreatRow::key));
  write_item(file, "/threats/ball", gather(threats, &ThreatRow::ball));
  column(file, "/threats/severity", gather(threats, &ThreatRow::severity));
  write_item(file, "/threats/layers", gather(threats, &ThreatRow::layers));
  column(file, "/threats/biases", biases);
  column(file, "/threats/format", gather(threats, &ThreatRow::format));
  column(file, "/threats/weights", gather(threats, &ThreatRow::weights));
  column(file, "/threats/input", gather(threats, &ThreatRow::input));
}

void write_bound(const hdf5::Group& file, const BoundGroup& group, const std::vector<BoundValues>& values) {
  ensure(values.size() == group.threats.size() && group.refused.size() == group.reasons.size(),
         "one value a set");
  const std::string path = "/bounds/" + group.name;
  file.create_group(path);
  file.set_text("guarantee", group.guarantee, path);
  file.set_text("reference", group.reference, path);
  file.set_text("rounding", group.rounding, path);
  file.set_text("params", group.params, path);
  if (!values.empty()) {
    const Index samples = values.front().value.rows();
    const Index classes = values.front().value.cols();
    const Dims dims{values.size(), static_cast<std::uint64_t>(samples), static_cast<std::uint64_t>(classes)};
    const auto write = [&](const char* name, MatrixD BoundValues::*member) {
      std::vector<MatrixD> blocks;
      for (const auto& set : values) {
        const auto& block = set.*member;
        blocks.push_back(block.size() > 0 ? block : MatrixD::Zero(samples, classes));
      }
      write_item(file, path + name, std::span<const double>(stack(blocks, samples, classes)), dims);
    };
    column(file, path + "/threat", group.threats);
    write("/value", &BoundValues::value);
    if (group.arithmetic) write("/arithmetic", &BoundValues::arithmetic);
    if (std::any_of(values.begin(), values.end(), [](const auto& set) { return set.attained.size() > 0; })) {
      write("/attained", &BoundValues::attained);
    }
    if (values.front().mean) {
      std::vector<double> mean, arithmetic;
      for (const auto& set : values) {
        mean.push_back(set.mean.value());
        arithmetic.push_back(set.mean_arithmetic);
      }
      column(file, path + "/mean", mean);
      if (group.arithmetic) column(file, path + "/mean_arithmetic", arithmetic);
    }
  }
  if (!group.refused.empty()) {
    column(file, path + "/refused_threat", group.refused);
    write_item(file, path + "/refused_reason", group.reasons);
  }
}

void write_checks(const hdf5::Group& file, const std::vector<CheckRow>& checks) {
  if (checks.empty()) return;
  std::vector<double> tightness;
  for (const auto& row : checks) {
    ensure(row.tightness.size() == std::size(check_quantiles), "one tightness a quantile");
    tightness.insert(tightness.end(), row.tightness.begin(), row.tightness.end());
  }
  column(file, "/checks/index", count_up(checks.size()));
  column(file, "/checks/point", gather(checks, &CheckRow::point));
  write_item(file, "/checks/bound", gather(checks, &CheckRow::bound));
  column(file, "/checks/threat", gather(checks, &CheckRow::threat));
  column(file, "/checks/compared", gather(checks, &CheckRow::compared));
  column(file, "/checks/violated", gather(checks, &CheckRow::violated));
  column(file, "/checks/tolerance", gather(checks, &CheckRow::tolerance));
  column(file, "/checks/tightness_max", gather(checks, &CheckRow::tightness_max));
  write_item(file, "/checks/tightness", std::span<const double>(tightness),
             {checks.size(), std::size(check_quantiles)});
  column(file, "/checks/quantile",
         std::vector<double>(std::begin(check_quantiles), std::end(check_quantiles)));
  column(file, "/checks/worst_sample", gather(checks, &CheckRow::worst_sample));
  column(file, "/checks/worst_trial", gather(checks, &CheckRow::worst_trial));
  column(file, "/checks/worst_drop", gather(checks, &CheckRow::worst_drop));
  column(file, "/checks/worst_bound", gather(checks, &CheckRow::worst_bound));
  column(file, "/checks/mean_drop", gather(checks, &CheckRow::mean_drop));
  column(file, "/checks/mean_bound", gather(checks, &CheckRow::mean_bound));
}

}  // namespace temblor
