#include <array>
#include <filesystem>
#include <numeric>
#include <span>

#include <fcntl.h>
#include <unistd.h>

#include <temblor/base/build.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/campaign/compare.hpp>
#include <temblor/campaign/fold.hpp>
#include <temblor/campaign/interrupt.hpp>
#include <temblor/campaign/runner.hpp>
#include <temblor/campaign/stops.hpp>
#include <temblor/campaign/trial_columns.hpp>

namespace temblor {
namespace {

template <class T>
void column(const hdf5::Group& file, const std::string& path, const std::vector<T>& values) {
  write_item(file, path, std::span<const T>(values), {values.size()});
}

std::vector<std::int64_t> count_up(std::size_t n) {
  std::vector<std::int64_t> index(n);
  std::iota(index.begin(), index.end(), std::int64_t{0});
  return index;
}

/// values[i] = of(items[i])
template <class Items, class F>
auto each(const Items& items, F of) {
  std::vector<std::decay_t<decltype(of(items.front()))>> values;
  for (const auto& item : items) values.push_back(of(item));
  return values;
}

void write_points(const hdf5::Group& file, const Plan& plan, const Stops& stops) {
  const auto& points = plan.points;
  std::vector<std::int64_t> first, trials;
  std::int64_t rows = 0;
  for (std::size_t p = 0; p < points.size(); ++p) {
    first.push_back(rows);
    trials.push_back(stops.trials(p));
    rows += trials.back();
  }
  column(file, "/points/index", count_up(points.size()));
  write_item(file, "/points/attack", each(points, [](const Point& p) { return p.attack->name; }));
  column(file, "/points/format",
         each(points, [](const Point& p) { return static_cast<std::int64_t>(p.base); }));
  write_item(file, "/points/layers",
             each(points, [&](const Point& p) { return layers_text(p.layers, plan.network); }));
  column(file, "/points/severity", each(points, [](const Point& p) { return p.severity; }));
  column(file, "/points/acting", each(points, [](const Point& p) { return p.acting; }));
  write_item(file, "/points/quantity", each(points, [](const Point& p) { return p.quantity.name; }));
  write_item(file, "/points/unit", each(points, [](const Point& p) { return p.quantity.unit; }));
  write_item(file, "/points/params", each(points, [](const Point& p) { return p.params.canonical(); }));
  column(file, "/points/threat",
         each(points, [](const Point& p) { return static_cast<std::int64_t>(p.threat); }));
  column(file, "/points/first_trial", first);
  column(file, "/points/trials", trials);
  column(file, "/points/trials_most", each(points, [](const Point& p) { return p.trials; }));
  column(file, "/points/population",
         each(points, [](const Point& p) { return static_cast<std::int64_t>(p.population); }));
  write_item(file, "/points/protection", each(points, [](const Point& p) { return p.protection.text(); }));
  column(file, "/points/stream", each(points, [](const Point& p) { return std::int64_t{p.stream}; }));
  column(file, "/points/stored_bits",
         each(points, [](const Point& p) { return static_cast<std::int64_t>(p.stored_bits); }));
  column(file, "/points/overhead_bits",
         each(points, [](const Point& p) { return static_cast<std::int64_t>(p.overhead_bits); }));
}

void write_trials(const hdf5::Group& file, const std::vector<TrialRow>& trials) {
  column(file, "/trials/index", count_up(trials.size()));
  column(file, "/trials/point", each(trials, [](const TrialRow& t) { return t.point; }));
  column(file, "/trials/outcome",
         each(trials, [](const TrialRow& t) { return static_cast<std::uint8_t>(t.outcome); }));
  for (const auto& [name, member, since] : trial_whole_columns) {
    column(file, std::string("/trials/") + name,
           each(trials, [m = member](const TrialRow& t) { return t.*m; }));
  }
  for (const auto& [name, member, since] : trial_real_columns) {
    column(file, std::string("/trials/") + name,
           each(trials, [m = member](const TrialRow& t) { return t.*m; }));
  }
}

/// /margins: one row a point, written as the points are folded.
class MarginsWriter {
 public:
  MarginsWriter(const hdf5::Group& file, std::size_t points, std::size_t samples)
      : file_(file), samples_(samples) {
    create<double>("worst_drop", points);
    create<std::int64_t>("worst_trial", points);
    create<double>("worst_pair_drop", points);
    create<std::int32_t>("worst_pair_class", points);
    create<std::int64_t>("worst_pair_trial", points);
    create<double>("drop_sum", points);
    create<std::int64_t>("nonfinite", points);
  }

  void write(std::size_t point, const Margins& margins) {
    row("worst_drop", point, margins.worst_drop);
    row("worst_trial", point, margins.worst_trial);
    row("worst_pair_drop", point, margins.worst_pair_drop);
    row("worst_pair_class", point, margins.worst_pair_class);
    row("worst_pair_trial", point, margins.worst_pair_trial);
    row("drop_sum", point, margins.drop_sum);
    row("nonfinite", point, margins.nonfinite);
  }

 private:
  template <class T>
  void create(const std::string& name, std::size_t points) {
    create_item<T>(file_, "/margins/" + name, {points, samples_});
  }
  template <class T>
  void row(const std::string& name, std::size_t point, const std::vector<T>& values) {
    file_.write_slab<T>("/margins/" + name, values, {point, 0}, {1, samples_});
  }

  const hdf5::Group& file_;
  std::uint64_t samples_;
};

void write_blocks(const hdf5::Group& file, const Plan& plan, const PartialFile& partial, const Stops& stops) {
  const auto samples = static_cast<std::size_t>(plan.data.size());
  MarginsWriter writer(file, plan.points.size(), samples);
  std::vector<TrialRow> trials;
  std::vector<std::int64_t> failed_point, failed_trial, cell_point;
  std::vector<std::string> messages;
  std::vector<double> seconds;
  std::vector<std::uint8_t> per_sample(plan.points.size(), 0);
  std::size_t block = 0;
  for (std::size_t p = 0; p < plan.points.size(); ++p) {
    auto margins = empty_margins(samples);
    std::size_t counting = stops.blocks(p);
    for (; block < plan.blocks.size() && plan.blocks[block].point == p; ++block) {
      if (counting == 0) continue;
      --counting;
      const auto result = partial.read(block);
      trials.insert(trials.end(), result.trials.begin(), result.trials.end());
      fold_block(result.margins, margins);
      seconds.push_back(result.seconds);
      if (result.per_sample) per_sample[p] = 1;
      cell_point.push_back(static_cast<std::int64_t>(p));
      if (result.failed_trial < 0) continue;
      failed_point.push_back(static_cast<std::int64_t>(p));
      failed_trial.push_back(result.failed_trial);
      messages.push_back(result.message);
    }
    writer.write(p, margins);
  }
  column(file, "/points/per_sample", per_sample);
  write_trials(file, trials);
  if (!messages.empty()) {
    column(file, "/failures/point", failed_point);
    column(file, "/failures/trial", failed_trial);
    write_item(file, "/failures/message", messages);
  }
  column(file, "/timing/seconds", seconds);
  column(file, "/timing/cell_point", cell_point);
}

bool write_bounds(const hdf5::Group& file, const Plan& plan) {
  for (const auto& name : plan.spec.bounds) {
    const auto& entry = find_bound(name);
    BoundGroup group;
    group.name = name;
    group.guarantee = entry.guarantee;
    group.reference = entry.reference;
    group.rounding =
        plan.spec.arithmetic
            ? "value holds in exact arithmetic and is rounded outward in double; value + arithmetic holds "
              "for "
              "float32 evaluation in any order"
            : "value holds in exact arithmetic and is rounded outward in double; float32 evaluation may add "
              "its own rounding";
    group.arithmetic = plan.spec.arithmetic;
    const auto params = checked_params(entry, plan.spec.bound_params);
    group.params = params.canonical();
    std::vector<BoundValues> values;
    for (std::size_t t = 0; t < plan.threats.size(); ++t) {
      if (InterruptGuard::requested()) return false;
      const auto& [set, base] = plan.threats[t];
      const auto& network = plan.bases[base].network;
      if (const auto reason = entry.refuses(network, set); !reason.empty()) {
        group.refused.push_back(static_cast<std::int64_t>(t));
        group.reasons.push_back(reason);
        continue;
      }
      values.push_back(entry.compute({network, plan.data, set, plan.spec.arithmetic, params}));
      group.threats.push_back(static_cast<std::int64_t>(t));
    }
    write_bound(file, group, values);
  }
  return true;
}

void write_provenance(const hdf5::Group& file, const Plan& plan, const PartialFile& partial,
                      const RunOptions& options) {
  const auto& build = build_info();
  std::vector<std::string> libraries;
  for (const auto& [library, version] : build.libraries) libraries.push_back(library + " " + version);
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::vector<std::string> inputs{plan.spec.network};
  inputs.insert(inputs.end(), plan.data.files.begin(), plan.data.files.end());
  for (const auto& attack : plan.spec.attacks) {
    for (const auto& param : find_attack(attack.name).params) {
      const auto given = attack.params.find(param.name);
      if (param.type == ParamType::file && given != attack.params.end()) inputs.push_back(given->second);
    }
  }
  const auto hashes = each(inputs, [](const std::string& path) {
    return std::filesystem::is_regular_file(path) ? sha256_file(path) : std::string("not a file");
  });
  const auto text = [&](const char* name, const std::string& value) {
    write_item(file, std::string("/provenance/") + name, std::vector<std::string>{value});
  };
  text("spec", to_toml(plan.spec));
  text("identity", plan.identity);
  text("command_line", options.command_line);
  text("version", program_version());
  text("compiler", build.compiler + ", " + build.flags);
  text("libraries", join(libraries, ", "));
  text("host", host.data());
  const std::int64_t threads = options.threads;
  write_item(file, "/provenance/threads", std::span<const std::int64_t>(&threads, 1), {});
  write_item(file, "/provenance/input_file", inputs);
  write_item(file, "/provenance/input_hash", hashes);
  write_item(file, "/timing/started", std::vector<std::string>{partial.started()});
  write_item(file, "/timing/finished", std::vector<std::string>{utc_now()});
  const std::int64_t resumed = partial.resumed();
  write_item(file, "/timing/resumed", std::span<const std::int64_t>(&resumed, 1), {});
}

bool write_result(const Plan& plan, const PartialFile& partial, const std::string& path,
                  const RunOptions& options) {
  const Stops stops(plan, partial);
  const auto file = hdf5::File::create(path);
  hdf5::stamp(file, result_filetype, result_major, result_minor);
  file.set_text("campaign_id", plan.id);
  file.set_text("network_id", plan.network.id());
  file.set_text("dataset_id", plan.data.id);
  file.set_text("image_range", image_range_text(plan.data));
  file.set_text("title", plan.spec.title);
  file.set<std::uint64_t>("seed", std::span<const std::uint64_t>(&plan.spec.seed, 1));

  std::vector<Matrix> golden;
  for (const auto& base : plan.bases)
    golden.push_back(logits(base.network, base.network.view(), plan.data.images, true));
  write_samples(file, plan.data.index, plan.data.labels,
                each(plan.bases, [](const StoredNetwork& base) { return base.label(); }),
                each(golden, [](const Matrix& block) { return &block; }));
  write_points(file, plan, stops);
  write_threats(file, each(plan.threats, [&](const Threat& threat) {
                  return threat_row(threat.set, plan.network, static_cast<std::int64_t>(threat.base));
                }));
  write_blocks(file, plan, partial, stops);
  if (!write_bounds(file, plan)) return false;
  write_provenance(file, plan, partial, options);
  file.close();

  const auto checks = compare(ResultFile(path), ResultFile(path));
  const auto again = hdf5::File::open(path, hdf5::File::Mode::update);
  write_checks(again, checks);
  attach_scales(again);
  again.sync();
  again.close();
  return true;
}

/// Makes a rename last: the directory itself goes to the disk.
void sync_directory(const std::string& path) {
  auto directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) directory = ".";
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

bool compact(const Plan& plan, const PartialFile& partial, const std::string& path,
             const RunOptions& options) {
  const std::string fresh = path + ".new";
  bool complete = false;
  try {
    complete = write_result(plan, partial, fresh, options);
    if (complete) std::filesystem::rename(fresh, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(fresh, ignored);
    throw;
  }
  std::error_code ignored;
  if (!complete) std::filesystem::remove(fresh, ignored);
  if (complete) sync_directory(path);
  return complete;
}

}  // namespace temblor
