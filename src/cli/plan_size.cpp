#include "plan_size.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <ostream>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/sizing.hpp>
#include <temblor/campaign/spec_values.hpp>
#include <temblor/cli/bits.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/cli/parse.hpp>
#include <temblor/cli/sections.hpp>
#include <temblor/network/file.hpp>

namespace temblor::cli {
namespace {

constexpr const char* size_names[] = {"confidence", "rate",  "bits",       "strata",
                                      "of",         "pilot", "allocation", "output"};

SizeRequest request_of(const Arguments& arguments, const Network& network) {
  SizeRequest request;
  const auto formats = format_values(arguments.text("format").value_or("fp32"), "--format");
  if (formats.size() != 1)
    usage_error("--format " + arguments.required("format"), "a population has one format", "give one");
  request.format = &find_format(formats.front());
  request.layers = parse_layers(arguments.text("layers").value_or("all"), network);
  request.bits = parse_bits(arguments.text("code-bits").value_or("all"), "--code-bits", *request.format);
  if (const auto strata = arguments.text("strata")) {
    for (const auto& word : split(*strata, ',')) {
      if (word == "layer") {
        request.by_layer = true;
      } else if (word == "field") {
        request.by_field = true;
      } else if (word == "bit") {
        request.by_bit = true;
      } else {
        unknown_name("value of --strata", word, {"layer", "field", "bit"});
      }
    }
  }
  request.error = parse_share(arguments.required("error"), "--error");
  request.confidence = parse_share(arguments.text("confidence").value_or("95%"), "--confidence");
  request.rate = parse_share(arguments.text("rate").value_or("0.5"), "--rate");
  request.of = &find_rate(arguments.text("of").value_or("any_change"));
  request.pilot = arguments.text("pilot");
  const auto allocation = arguments.text("allocation").value_or(request.pilot ? "neyman" : "proportional");
  if (allocation != "neyman" && allocation != "proportional")
    unknown_name("value of --allocation", allocation, {"neyman", "proportional"});
  request.neyman = allocation == "neyman";
  if (request.neyman && !request.pilot)
    usage_error("--allocation neyman", "without pilot all strata are alike", "give --pilot FILE");
  return request;
}

/// A relative path as it is called from the spec's directory.
std::string from_spec(const std::string& path, const std::string& spec) {
  const std::filesystem::path given(path);
  if (given.is_absolute()) return path;
  const auto directory = std::filesystem::absolute(spec).parent_path();
  return std::filesystem::proximate(std::filesystem::absolute(given), directory).string();
}

void write_spec(const Arguments& arguments, const Network& network, const SizeRequest& request,
                const Sizing& sizing, const std::string& path) {
  if (std::filesystem::exists(path) && is_hdf5(path))
    input_error("cannot write '" + path + "'", "it exists and is an HDF5 file", "name another file");
  Spec spec;
  spec.title = "Sampled single-bit faults: " + request.of->name + " within " + to_text(request.error) +
               " at confidence " + to_text(request.confidence);
  if (const auto seed = arguments.text("seed"))
    spec.seed = static_cast<std::uint64_t>(parse_integer(*seed, "--seed", 0));
  spec.network = from_spec(arguments.required("network"), path);
  spec.data.set = arguments.required("dataset");
  if (std::filesystem::exists(spec.data.set)) spec.data.set = from_spec(spec.data.set, path);
  if (const auto split = arguments.text("split")) spec.data.split = parse_split(*split, "--split");
  spec.data.select = arguments.text("select").value_or("all");
  if (const auto directory = arguments.text("data-dir")) spec.data.directory = from_spec(*directory, path);
  spec.attacks = sized_attacks(network, request, sizing);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << to_toml(spec);
  out.close();
  if (!out) input_error("cannot write '" + path + "'", "no such directory, or no room", "name another file");
}

std::vector<Section> sections_of(const Network& network, const SizeRequest& request, const Sizing& sizing) {
  Section strata{"strata",
                 "Strata",
                 {{"layers", "", "weighted layers"},
                  {"bits", "", "bits of the code"},
                  {"faults", "", "weights x bits"},
                  {"weight", "", "share of the population"},
                  {"pilot", "", "trials of the pilot in it; empty without"},
                  {"rate", "", "expected share"},
                  {"deviation", "", "expected standard deviation of one trial's share"},
                  {"trials", "", "faults to draw"}}};
  for (const auto& stratum : sizing.strata) {
    strata.add({layers_text(stratum.layers, network), bits_text(stratum.bits, *request.format),
                stratum.population,
                static_cast<double>(stratum.population) / static_cast<double>(sizing.population),
                stratum.pilot_trials > 0 ? Cell{stratum.pilot_trials} : Cell{}, stratum.rate,
                stratum.deviation, stratum.trials});
  }
  Section size{
      "size",
      "Size",
      {{"population", "", "faults in all"},
       {"of", "", "rate to estimate"},
       {"error", "", "half width asked for"},
       {"confidence", "", "of the interval"},
       {"allocation", "", "of trials to strata"},
       {"needed", "", "faults to draw without replacement"},
       {"trials", "", "in all: strata rounded up, and with a pilot raised until the error is reached"},
       {"reached", "", "half width that the estimate of so many draws is expected to have"}}};
  size.add({sizing.population, request.of->name, request.error, request.confidence,
            std::string(request.neyman ? "neyman" : "proportional"), sizing.needed, sizing.trials,
            sizing.reached});
  return {strata, size};
}

}  // namespace

std::vector<Option> size_options() {
  return {{.name = "error",
           .value = "SHARE",
           .help = "size a sampled campaign of single-bit faults: half width of its estimate, as in 1%; "
                   "--rate is then the expected share, where no pilot tells (0.5, the safe guess)"},
          {.name = "confidence", .value = "SHARE", .help = "of that estimate (95%)"},
          {.name = "of",
           .value = "RATE",
           .help = "what is estimated (any_change): a rate of temblor export --table rates"},
          {.name = "code-bits",
           .value = "WHICH",
           .help = "bits of the population: all, fields, numbers and ranges, as in sign,23-30 (all)"},
          {.name = "strata", .value = "LIST", .help = "layer, field, bit: sample each on its own"},
          {.name = "pilot",
           .value = "FILE",
           .help = "result or census file that tells the strata's rates: more trials where rates vary"},
          {.name = "allocation",
           .value = "NAME",
           .help = "proportional, or neyman (with --pilot; then the default)"},
          {.name = "output", .value = "FILE", .help = "write a spec that draws the sample", .letter = 'o'}};
}

void refuse_size_options(const Arguments& arguments) {
  for (const auto* name : size_names) {
    if (arguments.given(name))
      usage_error(std::string("--") + name, "it sizes a sample", "give --error too, as in --error 1%");
  }
}

int run_size(const Arguments& arguments, const Streams& streams) {
  if (arguments.positional("SPEC")) {
    usage_error("--error with a spec", "a sample is sized before it has one",
                "give --network and --format; -o FILE writes the spec");
  }
  const auto path = arguments.text("network");
  if (!path) usage_error("--error without network", "the population is its weights", "give --network FILE");
  const auto output = arguments.text("output");
  if (output && !arguments.text("dataset"))
    usage_error("-o without dataset", "a spec has one", "give --dataset NAME");
  if (output) check_not_input(*output, {*path, arguments.text("pilot").value_or("")});
  const auto network = load_network(*path);
  const auto request = request_of(arguments, network);
  const auto sizing = size_campaign(network, request);
  const auto sections = sections_of(network, request, sizing);
  if (output) write_spec(arguments, network, request, sizing, *output);
  if (arguments.flag("json")) {
    write_json(streams.out, {}, sections);
    return 0;
  }
  write_text(streams.out, sections);
  streams.out
      << "\ntrials draw independently: a fault may come twice, so that a sample of a small population "
         "reaches a little less than without replacement\n";
  if (2 * sizing.trials > sizing.population)
    streams.out << "that is most of the population: temblor census has all of it, exactly\n";
  if (output) {
    const auto result = std::filesystem::path(*output).stem().string() + ".h5";
    streams.out << "spec: " << *output << "; draw it with\n  temblor run " << shell_quoted(*output) << " -o "
                << shell_quoted(result) << "\n";
  }
  return 0;
}

}  // namespace temblor::cli
