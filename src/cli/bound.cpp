#include <cmath>
#include <ostream>

#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/data_options.hpp>
#include <temblor/cli/new_file.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/cli/set_options.hpp>
#include <temblor/network/file.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/report/table.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor::cli {
namespace {

struct Computed {
  BoundGroup group;
  std::vector<BoundValues> values;
};

std::vector<const BoundEntry*> chosen_bounds(const std::string& text) {
  std::vector<const BoundEntry*> entries;
  for (const auto& name : split(text, ',')) {
    const auto* entry = &find_bound(name);
    for (const auto* earlier : entries) {
      if (earlier == entry) usage_error("--bound", "'" + name + "' is given twice", "name each bound once");
    }
    entries.push_back(entry);
  }
  return entries;
}

Computed compute(const BoundEntry& entry, const Network& network, const Dataset& data,
                 const std::vector<ThreatSet>& sets, bool arithmetic, const Params& params) {
  Computed result;
  auto& group = result.group;
  group.name = entry.name;
  group.guarantee = entry.guarantee;
  group.reference = entry.reference;
  group.params = params.canonical();
  group.rounding = arithmetic
                       ? "value: exact arithmetic, rounded outward in double; value + arithmetic: float32 "
                         "evaluation of both networks, in any order of summation"
                       : "exact arithmetic, rounded outward in double; float32 evaluation may add its own "
                         "rounding";
  group.arithmetic = arithmetic;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const auto row = static_cast<std::int64_t>(s);
    if (const auto why = entry.refuses(network, sets[s]); !why.empty()) {
      group.refused.push_back(row);
      group.reasons.push_back(why);
      continue;
    }
    result.values.push_back(entry.compute({network, data, sets[s], arithmetic, params}));
    group.threats.push_back(row);
  }
  return result;
}

// Images whose label is the prediction of every network of the set.
std::int64_t certified(const MatrixD& margins, const MatrixD& value,
                       const std::vector<std::int32_t>& labels) {
  std::int64_t count = 0;
  for (Index n = 0; n < margins.rows(); ++n) {
    bool proven = true;
    for (Index j = 0; j < margins.cols(); ++j) {
      if (j != labels[static_cast<std::size_t>(n)]) proven = proven && margins(n, j) > value(n, j);
    }
    if (proven) ++count;
  }
  return count;
}

MatrixD float_margins(const Matrix& logits, const std::vector<std::int32_t>& labels) {
  MatrixD margins = logits.cast<double>();
  for (Index n = 0; n < margins.rows(); ++n) {
    margins.row(n) = margins(n, labels[static_cast<std::size_t>(n)]) - margins.row(n).array();
  }
  return margins;
}

Table summary(const std::vector<Computed>& bounds, const std::vector<ThreatSet>& sets, const MatrixD& margins,
              const Dataset& data, bool arithmetic) {
  Table table{{{"severity"}, {"bound"}, {"median drop"}, {"max drop"}}, {}};
  if (arithmetic) table.columns.push_back({"float32 part", 2});
  table.columns.push_back({"certified"});
  table.columns.push_back({"accuracy"});
  for (std::size_t s = 0; s < sets.size(); ++s) {
    for (const auto& bound : bounds) {
      for (std::size_t i = 0; i < bound.values.size(); ++i) {
        if (bound.group.threats[i] != static_cast<std::int64_t>(s)) continue;
        MatrixD total = bound.values[i].value;
        if (arithmetic) total += bound.values[i].arithmetic;
        const auto drop = margin_drop_bound(margins, total, data.labels);
        const auto count = certified(margins, total, data.labels);
        std::vector<Cell> row{sets[s].severity, bound.group.name,
                              quantile({drop.data(), static_cast<std::size_t>(drop.size())}, 0.5),
                              drop.maxCoeff()};
        if (arithmetic) row.push_back(bound.values[i].arithmetic.maxCoeff());
        row.push_back(count);
        row.push_back(static_cast<double>(count) / static_cast<double>(data.size()));
        table.add(std::move(row));
      }
    }
  }
  return table;
}

void write(const hdf5::File& file, const Network& network, const StoredNetwork& stored, const Dataset& data,
           const Matrix& golden, const std::vector<ThreatSet>& sets, const std::vector<Computed>& bounds) {
  hdf5::stamp(file, bounds_filetype, result_major, result_minor);
  file.set_text("network_id", network.id());
  file.set_text("dataset_id", data.id);
  file.set_text("image_range", image_range_text(data));
  write_samples(file, data.index, data.labels, {stored.format->name}, {&golden});
  std::vector<ThreatRow> threats;
  for (const auto& set : sets) {
    threats.push_back(threat_row(set, network, 0));
  }
  write_threats(file, threats);
  for (const auto& bound : bounds) write_bound(file, bound.group, bound.values);
}

int run_bound(const Arguments& arguments, const Streams& streams) {
  const auto entries = chosen_bounds(arguments.required("bound"));
  const auto& format = find_format(arguments.required("format"));
  const auto params = bound_params(arguments, split(arguments.required("bound"), ','));
  const bool arithmetic = !arguments.flag("no-arithmetic");
  const std::string network_path = arguments.required("network");
  const auto output = arguments.text("output");
  if (output) check_output(*output, bounds_filetype, {network_path});
  const Network network = load_network(network_path);
  const StoredNetwork stored = store(network, format);
  const auto sets = threat_sets(arguments, stored);
  Dataset data = load_dataset(data_request(arguments), network.scaling());
  check_fits(network, network_path, data);
  const Matrix golden = logits(stored.network, stored.network.view(), data.images, true);
  choose_labels(arguments, golden, data);
  std::optional<NewFile> file;
  if (output) file.emplace(*output);

  std::vector<Computed> bounds;
  bool any = false;
  for (const auto* entry : entries) {
    bounds.push_back(compute(*entry, stored.network, data, sets, arithmetic, checked_params(*entry, params)));
    any = any || !bounds.back().values.empty();
    if (!bounds.back().group.reasons.empty()) {
      streams.err << "temblor: " << entry->name << " does not apply: " << bounds.back().group.reasons.front()
                  << '\n';
    }
  }
  if (!any) usage_error("--bound " + arguments.required("bound"), "none of them applies", "choose others");

  if (file) {
    write(file->file(), network, stored, data, golden, sets, bounds);
    write_provenance(file->file(), arguments, data);
    attach_scales(file->file());
    file->finish();
  }
  const MatrixD margins =
      arithmetic ? float_margins(golden, data.labels) : exact_margins(stored.network, data);
  const auto table = summary(bounds, sets, margins, data, arithmetic);
  write(streams.out, table,
        parse_table_format(arguments.required("table-format"), "value of --table-format"));
  return 0;
}

}  // namespace

Subcommand bound_command() {
  Subcommand command{
      .name = "bound",
      .help = "upper limits on margin drops for whole sets of perturbed networks",
      .details =
          "For every severity, image and class j the largest drop of the pair margin f_y - f_j (y the label) "
          "that any network of the set can cause, never less. The table gives, over the images, the margin "
          "drop "
          "that these limits allow, and the images whose label is proven to be the prediction of every "
          "network "
          "of the set. 'temblor list bounds' names the bounds; 'temblor check' holds a campaign against the "
          "file that -o writes.\n"
          "\n"
          "Values hold in exact arithmetic and are computed in double, widened by its rounding. What float32 "
          "evaluation in any order of summation may add is a part on its own, which --no-arithmetic leaves "
          "out: "
          "that is about four times as fast, but drops measured in float32 may exceed the rest where attack "
          "and "
          "bound meet.",
      .examples = {"temblor bound --network net.h5 --dataset fashion-mnist --bound norm-product,interval "
                   "--eps 1e-4:1e-2:log:7 -o bounds.h5",
                   "temblor bound --network net.h5 --dataset fashion-mnist --eps 0.01,0.02 --ball relative "
                   "--layers 0+3 --format int8 --no-arithmetic"},
      .positionals = {},
      .options =
          {{.name = "network", .value = "FILE", .help = "network file", .letter = 'n', .required = true},
           {.name = "bound",
            .value = "NAMES",
            .help = "bounds, separated by commas",
            .initial = "norm-product,interval",
            .letter = 'b'},
           severity_option(),
           bound_params_option(),
           {.name = "format",
            .value = "NAME",
            .help = "number format of the weights at the centre",
            .initial = "fp32"},
           {.name = "no-arithmetic",
            .value = "",
            .help = "bounds for exact arithmetic alone, without what float32 evaluation may add"},
           {.name = "output", .value = "FILE", .help = "write the bounds there", .letter = 'o'},
           {.name = "table-format", .value = "NAME", .help = "text|csv|json", .initial = "text"}},
      .run = run_bound};
  for (auto& option : set_options()) command.options.push_back(std::move(option));
  for (auto& option : data_options()) command.options.push_back(std::move(option));
  return command;
}

}  // namespace temblor::cli
