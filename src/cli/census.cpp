#include "census_sections.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ostream>

#include <nlohmann/json.hpp>
#include <oneapi/tbb/global_control.h>

#include <temblor/base/build.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/census_file.hpp>
#include <temblor/campaign/interrupt.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/cli/bits.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/data_options.hpp>
#include <temblor/cli/memory_option.hpp>
#include <temblor/cli/new_file.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/cli/sections.hpp>
#include <temblor/network/file.hpp>

namespace temblor::cli {
namespace {

void write_provenance(const hdf5::File& file, const Arguments& arguments, const Dataset& data,
                      double seconds) {
  const auto text = [&](const char* name, const std::string& value) {
    write_item(file, std::string("/provenance/") + name, std::vector<std::string>{value});
  };
  const auto& build = build_info();
  std::vector<std::string> libraries;
  for (const auto& [library, version] : build.libraries) libraries.push_back(library + " " + version);
  text("command_line", arguments.command_line);
  text("version", build.version + ", " + build.git);
  text("compiler", build.compiler + ", " + build.flags);
  text("libraries", join(libraries, ", "));
  std::vector<std::string> inputs{arguments.required("network")};
  inputs.insert(inputs.end(), data.files.begin(), data.files.end());
  std::vector<std::string> hashes;
  for (const auto& input : inputs) hashes.push_back(sha256_file(input));
  write_item(file, "/provenance/input_file", inputs);
  write_item(file, "/provenance/input_hash", hashes);
  file.write<double>("/timing/census_seconds", std::span<const double>(&seconds, 1), {1});
}

void write_file(const NewFile& fresh, const Arguments& arguments, const Dataset& data,
                const Evaluator& evaluator, const CensusIdentity& identity, const Census& census,
                const std::vector<Section>& sections, double seconds) {
  const hdf5::File& file = fresh.file();
  write_census(file, identity, census);
  write_samples(file, data.index, data.labels, {identity.format}, {&evaluator.golden().logits()});
  write_sections(file, sections);
  write_provenance(file, arguments, data, seconds);
  attach_scales(file);
}

/// A line on a terminal that is redrawn while the census lasts, and the wish to stop.
class Watch {
 public:
  explicit Watch(const Streams& streams) : streams_(streams) {}
  ~Watch() {
    if (drawn_) streams_.err << "\r\033[K" << std::flush;
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  bool operator()(double share) {
    const auto now = std::chrono::steady_clock::now();
    if (streams_.terminal && now - last_ > std::chrono::milliseconds(200)) {
      last_ = now;
      drawn_ = true;
      streams_.err << "\r\033[Kcensus: " << std::lround(100 * share) << " %" << std::flush;
    }
    return !InterruptGuard::requested();
  }

 private:
  const Streams& streams_;
  std::chrono::steady_clock::time_point last_{};
  bool drawn_ = false;
};

struct Outline {
  std::string path;
  const Network& network;
  const Dataset& data;
  const CensusIdentity& identity;
  const Census& census;
  double seconds;

  std::int64_t faults() const {
    std::int64_t sum = 0;
    for (const auto& layer : census.layers) sum += static_cast<std::int64_t>(layer.faults());
    return sum;
  }
  double outcomes() const { return static_cast<double>(faults()) * static_cast<double>(identity.images); }
};

std::string rounded(double value, int digits) {
  const double place = digits - 1 - std::floor(std::log10(std::max(value, 1e-300)));
  const double scale = std::pow(10.0, std::fabs(place));  // a whole number, so that the result prints short
  return to_text(place < 0 ? std::round(value / scale) * scale : std::round(value * scale) / scale);
}

void print(std::ostream& out, const Outline& of, const std::vector<Section>& sections) {
  const double accuracy = static_cast<double>(of.identity.correct) / static_cast<double>(of.identity.images);
  out << "network  " << of.path << ": " << of.network.summary() << '\n'
      << "data     " << of.data.name << ", " << split_name(of.data.split) << ", " << of.data.select << ": "
      << of.identity.images << " images, " << of.identity.correct << " right without fault ("
      << rounded(100 * accuracy, 4) << " %)\n"
      << "faults   " << of.faults() << " single bits of " << of.identity.format
      << ", every one of them: exact counts\n"
      << "method   "
      << (of.census.traced
              ? join(of.census.methods(), " and ") + "; " + std::to_string(of.census.inferred) + " of " +
                    rounded(of.outcomes(), 3) + " pairs of fault and image inferred again"
              : "faults inferred again one by one (" + of.census.why_not_traced + ")")
      << '\n'
      << "time     " << rounded(of.seconds, 3) << " s, "
      << rounded(static_cast<double>(of.faults()) / of.seconds, 3) << " faults/s, "
      << rounded(of.outcomes() / of.seconds, 3) << " image outcomes/s\n";
  write_text(out, sections);
}

void print_json(std::ostream& out, const Outline& of, const std::vector<Section>& sections) {
  const auto dumped = [](const nlohmann::ordered_json& json) {
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  write_json(
      out,
      {{"network",
        dumped({{"file", of.path}, {"id", of.identity.network_id}, {"summary", of.network.summary()}})},
       {"dataset", dumped({{"name", of.data.name},
                           {"split", split_name(of.data.split)},
                           {"select", of.data.select},
                           {"id", of.data.id},
                           {"images", of.identity.images},
                           {"files", of.data.files}})},
       {"format", dumped(of.identity.format)},
       {"correct", dumped(of.identity.correct)},
       {"faults", dumped(of.faults())},
       {"method", dumped(join(of.census.methods(), ", "))},
       {"inferred_pairs", dumped(of.census.inferred)},
       {"seconds", dumped(of.seconds)}},
      sections);
}

int run_census(const Arguments& arguments, const Streams& streams) {
  const Format& format = find_format(arguments.required("format"));
  CensusRequest request;
  request.bits = parse_bits(arguments.required("bits"), "--bits", format);
  request.trace = !arguments.flag("full");
  const auto top = static_cast<std::size_t>(parse_integer(arguments.required("top"), "--top", 0, 1 << 24));
  const std::string path = arguments.required("network");
  const auto output = arguments.text("output");
  if (output) check_output(*output, census_filetype, {path});
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism,
                                          static_cast<std::size_t>(thread_count(arguments)));
  const Network network = load_network(path);
  request.layers = parse_layers(arguments.required("layers"), network);
  const StoredNetwork stored = store(network, format);
  const Dataset data = load_dataset(data_request(arguments), network.scaling());
  check_fits(network, path, data);
  std::optional<NewFile> file;
  if (output) file.emplace(*output);

  const InterruptGuard guard;
  const auto begin = std::chrono::steady_clock::now();
  const Evaluator evaluator(stored.network, data, activation_memory(arguments));
  const Census census = [&] {
    Watch watch(streams);
    request.progress = [&](double share) { return watch(share); };
    return take_census(stored, data, evaluator, request);
  }();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  if (!census.traced && !arguments.flag("full"))
    streams.err << "temblor: faults were inferred again one by one, which is slow: " << census.why_not_traced
                << '\n';
  const CensusIdentity identity{network.id(),
                                data.id,
                                format.name,
                                static_cast<std::int64_t>(data.size()),
                                evaluator.golden().correct,
                                std::int64_t{network.layers()}};
  const auto sections = census_sections(stored, census, identity, top);
  if (file) {
    write_file(*file, arguments, data, evaluator, identity, census, sections, elapsed.count());
    file->finish();
  }
  const Outline outline{path, network, data, identity, census, elapsed.count()};
  if (arguments.flag("json")) {
    print_json(streams.out, outline, sections);
  } else {
    print(streams.out, outline, sections);
  }
  return 0;
}

}  // namespace

Subcommand census_command() {
  Subcommand command{
      .name = "census",
      .help = "every single-bit fault of every weight, exactly: no sampling",
      .details =
          "For every chosen bit of every weight of the chosen layers, one at a time and over all images: "
          "predictions changed, broken, fixed and lost, and the worst margin drop with its image. The counts "
          "are those of inferring the whole set again for every fault.\n\n"
          "Chains of dense layers with ReLU, and the dense layers at the end of other networks, are traced: "
          "with one weight changed, everything above its unit is a piecewise-linear function of one number, "
          "followed once for every image and unit, and a fault is a look-up there (docs/theory.md, section "
          "11). Where rounding could decide, the pair of fault and image is inferred again. Faults of a "
          "convolution are inferred from the changed channel on, for images that notice. Other layers are "
          "inferred again fault by fault, which takes as long as it sounds; so does --full, for "
          "comparison.\n\n"
          "Prints faults by layer and field, by bit, and the most critical bits. -o writes these and the "
          "dense arrays /faults/LAYER/{changed,broken,fixed,no_prediction,worst_drop,worst_image} [output x "
          "input x bit] (docs/census-file.md); correct = right without fault - broken + fixed. "
          "'temblor check CENSUS RESULT' holds sampled campaigns against such a file.",
      .examples =
          {"temblor census --network net.h5 --dataset fashion-mnist --format fp32 -o census.h5",
           "temblor census --network net.h5 --dataset fashion-mnist --format int8 --layers 0+3 --bits "
           "sign,4-6 --top 50 --json"},
      .positionals = {},
      .options =
          {{.name = "network", .value = "FILE", .help = "network file", .letter = 'n', .required = true},
           {.name = "format",
            .value = "NAME",
            .help = "number format of the stored weights",
            .initial = "fp32"},
           {.name = "layers", .value = "LAYERS", .help = "all, or indices joined by +", .initial = "all"},
           {.name = "bits",
            .value = "BITS",
            .help = "all, fields of the format, bits and ranges A-B, separated by commas",
            .initial = "all"},
           {.name = "top",
            .value = "N",
            .help = "how many of the most critical bits to list",
            .initial = "20"},
           {.name = "full", .value = "", .help = "infer every fault again instead of tracing"},
           {.name = "threads",
            .value = "N",
            .help = "threads (also TEMBLOR_THREADS; default: all processors)"},
           activation_memory_option(),
           {.name = "output", .value = "FILE", .help = "write the census there", .letter = 'o'},
           {.name = "json", .value = "", .help = "print JSON instead of text"}},
      .run = run_census};
  for (auto& option : data_options()) command.options.push_back(std::move(option));
  return command;
}

}  // namespace temblor::cli
