#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <thread>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/memory_option.hpp>

namespace temblor::cli {
namespace {

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace

std::map<std::string, std::string> assignments(const std::vector<std::string>& texts,
                                               const std::string& option, const std::string& example) {
  std::map<std::string, std::string> result;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      usage_error(option + " " + text, "not of the form name=value", "as in " + option + " " + example);
    }
    if (!result.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
      usage_error(option + " " + text.substr(0, equals), "given twice", "leave one out");
    }
  }
  return result;
}

std::vector<Option> campaign_options() {
  std::vector<Option> options{
      {.name = "network", .value = "FILE", .help = "network file"},
      {.name = "dataset", .value = "NAME", .help = "named set, or a file of images (temblor list datasets)"},
      {.name = "split", .value = "SPLIT", .help = "train or test (test unless the spec says otherwise)"},
      {.name = "select",
       .value = "WHICH",
       .help = "which images: all, first:N, range:A:B, stratified:N, random:N[:SEED]"},
      {.name = "data-dir", .value = "DIR", .help = "directory of the dataset (also TEMBLOR_DATA)"},
      {.name = "attack",
       .value = "NAME",
       .help = "one attack instead of those of the spec (temblor list attacks)"},
  };
  for (const auto& name : quantity_names()) {
    options.push_back({.name = name,
                       .value = "LIST",
                       .help = "severities of attacks measured by " + name +
                               ": numbers and ranges LO:HI:log:N, LO:HI:lin:N"});
  }
  const std::vector<Option> rest{
      {.name = "set",
       .value = "NAME=VALUE",
       .help = "parameter of the attacks that have it; BOUND.NAME=VALUE: of that bound",
       .repeat = true},
      {.name = "layers", .value = "LIST", .help = "grid of layer sets, as in all,0,0+2"},
      {.name = "format",
       .value = "LIST",
       .help = "grid of number formats, as in fp32,int8 (temblor list formats)"},
      {.name = "memory",
       .value = "NAME=VALUE,...",
       .help = "where the codes are stored, as in word=64,row=1024,banks=8,interleave=word (docs/spec.md)"},
      {.name = "voltage",
       .value = "V=RATE,...",
       .help = "rates of faults by voltage, for --volts; in between their logarithm is linear"},
      {.name = "protect",
       .value = "LIST",
       .help = "grid of protections, as in none,secded-72-64,parity:width=32 (temblor list protections)"},
      {.name = "trials", .value = "N", .help = "trials of every point; the most, with --until"},
      {.name = "until",
       .value = "WHEN",
       .help = "stop a point when an interval is narrow enough, as in \"ci(sdc) < 0.5%\" (half widths; "
               "docs/spec.md)"},
      {.name = "seed", .value = "N", .help = "key of all random streams (also TEMBLOR_SEED)"},
      {.name = "full",
       .value = "",
       .help = "evaluate every trial by full re-inference: equal counts, slower"},
      {.name = "bound", .value = "LIST", .help = "analytic bounds to compute beside (temblor list bounds)"},
      {.name = "no-arithmetic",
       .value = "",
       .help = "bounds for exact arithmetic alone, without what float32 evaluation may add"},
      {.name = "title", .value = "TEXT", .help = "title of the result file"},
  };
  options.insert(options.end(), rest.begin(), rest.end());
  return options;
}

Option interval_option() {
  return {.name = "interval",
          .value = "METHOD",
          .help = "intervals of rates, 95 %: wilson or clopper-pearson",
          .initial = "wilson"};
}

Spec campaign_spec(const Arguments& arguments) {
  const auto file = arguments.positional("SPEC");
  Spec spec = file ? load_spec(*file) : Spec{};
  Overrides overrides;
  overrides.title = arguments.text("title");
  overrides.seed = arguments.text("seed");
  overrides.trials = arguments.text("trials");
  overrides.until = arguments.text("until");
  overrides.network = arguments.text("network");
  overrides.set = arguments.text("dataset");
  overrides.split = arguments.text("split");
  overrides.select = arguments.text("select");
  overrides.directory = arguments.text("data-dir");
  overrides.attack = arguments.text("attack");
  overrides.layers = arguments.text("layers");
  overrides.format = arguments.text("format");
  overrides.protect = arguments.text("protect");
  overrides.bounds = arguments.text("bound");
  overrides.full = arguments.flag("full");
  overrides.exact = arguments.flag("no-arithmetic");
  overrides.params = assignments(arguments.all("set"));
  if (const auto memory = arguments.text("memory"))
    overrides.memory = assignments(split(*memory, ','), "--memory", "word=64,row=1024");
  if (const auto voltage = arguments.text("voltage"))
    overrides.voltage = assignments(split(*voltage, ','), "--voltage", "0.6=1e-2,0.8=1e-6");
  for (const auto& name : quantity_names()) {
    if (const auto text = arguments.text(name)) overrides.severity[name] = *text;
  }
  if (const auto seed = environment("TEMBLOR_SEED"); seed && !overrides.seed) {
    spec.seed = static_cast<std::uint64_t>(parse_integer(*seed, "TEMBLOR_SEED", 0));
  }
  // An empty directory makes the reader look at TEMBLOR_DATA, which comes before the spec's.
  if (environment("TEMBLOR_DATA")) spec.data.directory.clear();
  apply(overrides, spec);
  check_complete(spec);
  return spec;
}

int thread_count(const Arguments& arguments) {
  constexpr std::int64_t most = 4096;
  if (const auto text = arguments.text("threads"))
    return static_cast<int>(parse_integer(*text, "--threads", 1, most));
  if (const auto text = environment("TEMBLOR_THREADS")) {
    return static_cast<int>(parse_integer(*text, "TEMBLOR_THREADS", 1, most));
  }
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> units{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < units.size(); ++unit) value /= 1000;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text.data();
}

RunReport run_campaign(const Plan& plan, const std::string& output, const Arguments& arguments,
                       const Streams& streams) {
  RunOptions options;
  options.threads = thread_count(arguments);
  options.words = &streams.err;
  options.progress = streams.terminal ? &streams.err : nullptr;
  options.command_line = arguments.command_line;
  options.activation_memory = activation_memory(arguments);
  const auto done = temblor::run_campaign(plan, output, options);
  if (done.state == RunState::interrupted) {
    streams.err << "stopped: " << done.blocks_done << " of " << done.blocks << " blocks are saved in '"
                << output << ".partial'; go on with\n  " << arguments.command_line << "\n";
  }
  return done;
}

}  // namespace temblor::cli
