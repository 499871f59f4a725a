#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <limits>

#include <temblor/base/build.hpp>
#include <temblor/base/error.hpp>
#include <temblor/campaign/partial_file.hpp>
#include <temblor/campaign/trial_columns.hpp>

namespace temblor {
namespace {

constexpr std::uint64_t message_bytes = 256;
constexpr std::uint64_t real_folds = 3;   // worst_drop, worst_pair_drop, drop_sum
constexpr std::uint64_t whole_folds = 4;  // worst_trial, worst_pair_class, worst_pair_trial, nonfinite
constexpr std::uint64_t whole_columns = trial_whole_columns.size() + 1;  // and the outcome

struct Extent {
  std::uint64_t blocks, rows, samples;
};

Extent extent(const Plan& plan) {
  return {plan.blocks.size(), static_cast<std::uint64_t>(plan.trials),
          static_cast<std::uint64_t>(plan.data.size())};
}

std::uint64_t first_row(const Plan& plan, const TrialBlock& block) {
  return static_cast<std::uint64_t>(plan.points[block.point].first_trial + block.first);
}

template <class T>
void append(std::vector<std::int32_t>& to, const std::vector<T>& values) {
  for (const auto value : values) to.push_back(static_cast<std::int32_t>(value));
}

template <class T, class U>
std::vector<T> slice(const std::vector<U>& values, std::size_t index, std::size_t length) {
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(index * length);
  return std::vector<T>(begin, begin + static_cast<std::ptrdiff_t>(length));
}

std::string text_of(const hdf5::File& file, const std::string& name) {
  const auto text = file.read_strings(name);
  if (text.size() != 1) {
    input_error(file.file_name() + ", " + name, "not one text",
                "the file is damaged; delete it and run again");
  }
  return text.front();
}

}  // namespace

std::string program_version() {
  return build_info().version + " (" + build_info().git + ")";
}

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

Margins empty_margins(std::size_t samples) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  return {std::vector<double>(samples, none),     std::vector<std::int64_t>(samples, -1),
          std::vector<double>(samples, none),     std::vector<std::int32_t>(samples, -1),
          std::vector<std::int64_t>(samples, -1), std::vector<double>(samples, 0.0),
          std::vector<std::int64_t>(samples, 0)};
}

PartialFile PartialFile::create(const std::string& path, const Plan& plan) {
  const std::string fresh = path + ".new";
  const auto [blocks, rows, samples] = extent(plan);
  try {
    const auto file = hdf5::File::create(fresh);
    hdf5::stamp(file, partial_filetype, result_major, result_minor);
    file.set_text("campaign_id", plan.id);
    file.write_strings("/identity", {plan.identity});
    file.write_strings("/started", {utc_now()});
    file.write_strings("/version", {program_version()});
    file.create<std::int64_t>("/resumed", {1}, 0);
    file.create<std::uint8_t>("/blocks/status", {blocks}, 0);
    file.create<std::uint8_t>("/blocks/per_sample", {blocks}, 0);
    file.create<double>("/blocks/seconds", {blocks}, 0);
    file.create<std::int64_t>("/blocks/failed_trial", {blocks}, -1);
    file.create<std::uint8_t>("/blocks/message", {blocks, message_bytes}, 0);
    file.create<std::int64_t>("/trials/whole", {rows, whole_columns}, 0);
    file.create<double>("/trials/real", {rows, trial_real_columns.size()}, 0);
    file.create<double>("/margins/real", {blocks, real_folds, samples}, 0);
    file.create<std::int32_t>("/margins/whole", {blocks, whole_folds, samples}, 0);
    file.sync();
    file.close();
    std::filesystem::rename(fresh, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(fresh, ignored);
    throw;
  }
  PartialFile partial(hdf5::File::open(path, hdf5::File::Mode::update), plan);
  partial.status_.assign(blocks, 0);
  return partial;
}

PartialFile PartialFile::open(const std::string& path, const Plan& plan) {
  PartialFile partial(hdf5::File::open(path, hdf5::File::Mode::update), plan);
  const auto& file = partial.file_;
  hdf5::check_stamp(file, partial_filetype, result_major);
  if (const auto different = difference(text_of(file, "/identity"), plan.identity); !different.empty()) {
    usage_error("'" + path + "' belongs to another campaign", different,
                "finish that one with its own spec, choose another -o, or delete the file to start anew");
  }
  if (file.dims("/trials/whole") != hdf5::Dims{static_cast<std::uint64_t>(plan.trials), whole_columns}) {
    input_error("'" + path + "' cannot be resumed",
                "temblor " + partial.version() + " began it, which kept other numbers of a trial",
                "finish it with that version, or delete the file to start anew");
  }
  partial.status_ = file.read<std::uint8_t>("/blocks/status");
  ensure(partial.status_.size() == plan.blocks.size(), "one status byte a block");
  partial.resumed_ = file.read<std::int64_t>("/resumed").at(0) + 1;
  file.write_slab<std::int64_t>("/resumed", std::span<const std::int64_t>(&partial.resumed_, 1), {0}, {1});
  file.flush();
  return partial;
}

std::string PartialFile::started() const {
  return text_of(file_, "/started");
}
std::string PartialFile::version() const {
  return text_of(file_, "/version");
}

void PartialFile::write(std::size_t index, const BlockResult& result) {
  const auto& block = plan_->blocks.at(index);
  const auto count = static_cast<std::uint64_t>(block.count);
  const auto samples = static_cast<std::uint64_t>(plan_->data.size());
  ensure(result.trials.size() == count && result.margins.worst_drop.size() == samples,
         "a block's result is whole");
  std::vector<std::int64_t> whole;
  std::vector<double> real;
  for (const auto& row : result.trials) {
    whole.push_back(static_cast<std::int64_t>(row.outcome));
    for (const auto& column : trial_whole_columns) whole.push_back(row.*column.member);
    for (const auto& column : trial_real_columns) real.push_back(row.*column.member);
  }
  const auto row = first_row(*plan_, block);
  file_.write_slab<std::int64_t>("/trials/whole", whole, {row, 0}, {count, whole_columns});
  file_.write_slab<double>("/trials/real", real, {row, 0}, {count, trial_real_columns.size()});

  const auto& margins = result.margins;
  real = margins.worst_drop;
  real.insert(real.end(), margins.worst_pair_drop.begin(), margins.worst_pair_drop.end());
  real.insert(real.end(), margins.drop_sum.begin(), margins.drop_sum.end());
  std::vector<std::int32_t> counts;
  append(counts, margins.worst_trial);
  append(counts, margins.worst_pair_class);
  append(counts, margins.worst_pair_trial);
  append(counts, margins.nonfinite);
  file_.write_slab<double>("/margins/real", real, {index, 0, 0}, {1, real_folds, samples});
  file_.write_slab<std::int32_t>("/margins/whole", counts, {index, 0, 0}, {1, whole_folds, samples});

  std::vector<std::uint8_t> message(result.message.begin(), result.message.end());
  message.resize(message_bytes, 0);
  message.back() = 0;
  file_.write_slab<std::uint8_t>("/blocks/message", message, {index, 0}, {1, message_bytes});
  file_.write_slab<std::int64_t>("/blocks/failed_trial",
                                 std::span<const std::int64_t>(&result.failed_trial, 1), {index}, {1});
  const std::uint8_t per_sample = result.per_sample ? 1 : 0;
  file_.write_slab<std::uint8_t>("/blocks/per_sample", std::span<const std::uint8_t>(&per_sample, 1), {index},
                                 {1});
  file_.write_slab<double>("/blocks/seconds", std::span<const double>(&result.seconds, 1), {index}, {1});
  file_.flush();
  constexpr std::uint8_t written = 1;
  file_.write_slab<std::uint8_t>("/blocks/status", std::span<const std::uint8_t>(&written, 1), {index}, {1});
  file_.flush();
  status_[index] = written;
}

std::vector<TrialRow> PartialFile::read_trials(std::size_t index) const {
  ensure(status_.at(index) == 1, "only written blocks are read");
  const auto& block = plan_->blocks[index];
  const auto count = static_cast<std::uint64_t>(block.count);
  const auto row = first_row(*plan_, block);
  const auto whole = file_.read_slab<std::int64_t>("/trials/whole", {row, 0}, {count, whole_columns});
  const auto real = file_.read_slab<double>("/trials/real", {row, 0}, {count, trial_real_columns.size()});
  auto next_whole = whole.begin();
  auto next_real = real.begin();
  std::vector<TrialRow> trials;
  for (std::uint64_t i = 0; i < count; ++i) {
    TrialRow trial;
    trial.point = static_cast<std::int64_t>(block.point);
    trial.outcome = static_cast<Outcome>(*next_whole++);
    for (const auto& column : trial_whole_columns) trial.*column.member = *next_whole++;
    for (const auto& column : trial_real_columns) trial.*column.member = *next_real++;
    trials.push_back(trial);
  }
  return trials;
}

BlockResult PartialFile::read(std::size_t index) const {
  BlockResult result;
  result.trials = read_trials(index);
  const auto samples = static_cast<std::uint64_t>(plan_->data.size());
  const auto reals = file_.read_slab<double>("/margins/real", {index, 0, 0}, {1, real_folds, samples});
  const auto counts =
      file_.read_slab<std::int32_t>("/margins/whole", {index, 0, 0}, {1, whole_folds, samples});
  result.margins = {slice<double>(reals, 0, samples),        slice<std::int64_t>(counts, 0, samples),
                    slice<double>(reals, 1, samples),        slice<std::int32_t>(counts, 1, samples),
                    slice<std::int64_t>(counts, 2, samples), slice<double>(reals, 2, samples),
                    slice<std::int64_t>(counts, 3, samples)};
  const auto message = file_.read_slab<std::uint8_t>("/blocks/message", {index, 0}, {1, message_bytes});
  for (const auto c : message) {
    if (c != 0) result.message += static_cast<char>(c);
  }
  result.failed_trial = file_.read_slab<std::int64_t>("/blocks/failed_trial", {index}, {1}).front();
  result.per_sample = file_.read_slab<std::uint8_t>("/blocks/per_sample", {index}, {1}).front() != 0;
  result.seconds = file_.read_slab<double>("/blocks/seconds", {index}, {1}).front();
  return result;
}

}  // namespace temblor
