#include "generalize_study.hpp"

#include <cmath>
#include <ostream>

#include <nlohmann/json.hpp>

#include <temblor/base/build.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/data_options.hpp>
#include <temblor/cli/new_file.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/network/file.hpp>
#include <temblor/train/trainer.hpp>

namespace temblor::cli {
namespace {

constexpr const char* filetype = "temblor-generalization";

std::vector<double> distinct_reals(const Arguments& arguments, const std::string& option, double least) {
  const auto values = parse_reals(arguments.required(option), "--" + option, least);
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (values[i] == values[j])
        usage_error("--" + option, to_text(values[i]) + " is given twice", "drop one");
    }
  }
  return values;
}

std::vector<const BoundEntry*> bounds_of(const Arguments& arguments) {
  std::vector<const BoundEntry*> entries;
  const std::string text = arguments.required("bound");
  if (text == "none") return entries;
  for (const auto& name : split(text, ',')) entries.push_back(&find_bound(name));
  return entries;
}

double probability(const Arguments& arguments, const std::string& option) {
  return parse_real(arguments.required(option), "--" + option, 1e-300, 0.5);
}

/// The training images, and the test images unless they are the same.
struct Splits {
  Dataset train;
  std::optional<Dataset> test;
};

Splits load(const Arguments& arguments, const Network& network, const std::string& path,
            const Streams& streams) {
  DataRequest request{arguments.required("dataset"), Split::train, arguments.text("data-dir").value_or(""),
                      arguments.required("select")};
  Splits splits{load_dataset(request, network.scaling()), {}};
  check_fits(network, path, splits.train);
  if (splits.train.size() < 8) {
    usage_error("--select " + request.select, "the bounds need at least 8 training images", "take more");
  }
  request.split = Split::test;
  request.select = arguments.required("test-select");
  Dataset test = load_dataset(request, network.scaling());
  check_fits(network, path, test);
  if (same_images(splits.train, test)) {
    streams.err << "temblor: " << splits.train.name
                << " has no test images of its own: no gap is measured and no risk limited\n";
  } else {
    splits.test = std::move(test);
  }
  return splits;
}

void write_file(const NewFile& fresh, const Arguments& arguments, const Network& network,
                const Splits& splits, const std::vector<Section>& sections) {
  const auto& file = fresh.file();
  hdf5::stamp(file, filetype, 1, 1);
  file.set_text("network_id", network.id());
  file.set_text("train_id", splits.train.id);
  if (splits.test) file.set_text("test_id", splits.test->id);
  write_sections(file, sections);
  file.create_group("/provenance");
  const auto& build = build_info();
  std::vector<std::string> inputs{arguments.required("network")};
  inputs.insert(inputs.end(), splits.train.files.begin(), splits.train.files.end());
  if (splits.test) inputs.insert(inputs.end(), splits.test->files.begin(), splits.test->files.end());
  std::vector<std::string> hashes;
  for (const auto& input : inputs) hashes.push_back(sha256_file(input));
  file.write_strings("/provenance/command_line", {arguments.command_line});
  file.write_strings("/provenance/version", {build.version + ", " + build.git});
  file.write_strings("/provenance/input_file", inputs);
  file.write_strings("/provenance/input_hash", hashes);
}

void print(std::ostream& out, const std::string& path, const Network& network, const Splits& splits,
           const std::vector<Section>& sections) {
  const auto data = [](const Dataset& set) {
    return set.name + ", " + split_name(set.split) + ", " + set.select + ": " + std::to_string(set.size()) +
           " images";
  };
  out << "network  " << path << ": " << network.summary() << '\n'
      << "train    " << data(splits.train) << '\n';
  if (splits.test) out << "test     " << data(*splits.test) << '\n';
  write_text(out, sections);
}

void print_json(std::ostream& out, const std::string& path, const Network& network, const Splits& splits,
                const std::vector<Section>& sections) {
  const auto data = [](const Dataset& set) {
    return nlohmann::ordered_json{{"name", set.name},     {"split", split_name(set.split)},
                                  {"select", set.select}, {"images", set.size()},
                                  {"id", set.id},         {"files", set.files}}
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  const nlohmann::ordered_json head{{"file", path}, {"id", network.id()}, {"summary", network.summary()}};
  write_json(out,
             {{"network", head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)},
              {"train", data(splits.train)},
              {"test", splits.test ? data(*splits.test) : "null"}},
             sections);
}

int run_generalize(const Arguments& arguments, const Streams& streams) {
  const std::string path = arguments.required("network");
  const auto eps = distinct_reals(arguments, "eps", 0);
  const auto gamma = distinct_reals(arguments, "gamma", 1e-300);
  const double delta = probability(arguments, "delta");
  const auto bounds = bounds_of(arguments);
  const auto images = parse_integer(arguments.required("images"), "--images", 0, 1 << 30);
  const auto steps = parse_integer(arguments.required("steps"), "--steps", 1, 1'000'000);
  const auto batch = parse_integer(arguments.required("batch"), "--batch", 1, 1 << 30);
  const auto draws = parse_integer(arguments.required("draws"), "--draws", 0, 1'000'000);
  const auto noise_draws = parse_integer(arguments.required("noise-draws"), "--noise-draws", 0, 1'000'000);
  PacBayesPlan plan{distinct_reals(arguments, "sigma", 1e-30), noise_draws, 256, delta};
  const auto seed = static_cast<std::uint64_t>(parse_integer(arguments.required("seed"), "--seed", 0));
  std::optional<std::uint64_t> prior_seed;
  if (const auto text = arguments.text("prior-seed"))
    prior_seed = static_cast<std::uint64_t>(parse_integer(*text, "--prior-seed", 0));
  const auto output = arguments.text("output");
  if (output) check_output(*output, filetype, {path});

  const Network network = load_network(path);
  const auto layers = parse_layers(arguments.required("layers"), network);
  const Splits splits = load(arguments, network, path, streams);
  std::optional<Network> prior;
  if (prior_seed) prior = initialise(network, *prior_seed);
  std::optional<NewFile> file;
  if (output) file.emplace(*output);
  const auto sections = study_generalization({network,
                                              splits.train,
                                              splits.test,
                                              eps,
                                              layers,
                                              gamma,
                                              delta,
                                              bounds,
                                              static_cast<Index>(images),
                                              {steps, static_cast<Index>(batch)},
                                              draws,
                                              prior,
                                              std::move(plan),
                                              seed});
  if (file) {
    write_file(*file, arguments, network, splits, sections);
    file->finish();
  }
  if (arguments.flag("json")) {
    print_json(streams.out, path, network, splits, sections);
  } else {
    print(streams.out, path, network, splits, sections);
  }
  return 0;
}

}  // namespace

Subcommand generalize_command() {
  return {
      .name = "generalize",
      .help = "bounds on the error on new images under weight perturbation, beside the measured gap",
      .details =
          "Prints every term of a margin bound on the probability that some network with weights within eps "
          "misclassifies a new image (docs/theory.md, section 10), and beside it what is measured: training "
          "and test error without and with perturbation (one found by weight-pgd on the training images and "
          "applied to both splits, and one for each image), the rise of the training loss in the set at "
          "worst "
          "and at random (sharpness), and a PAC-Bayes estimate.\n\n"
          "The margin bound has two forms. 'fixed' takes the class of networks to have just the norms of "
          "this "
          "network and the largest norm of these images; it would hold had they been fixed in advance, and "
          "shows the theorem's constants. 'any' adds what it costs that they were not, and holds for a "
          "trained "
          "network. gamma must be chosen without the images; several are paid for by a union bound. A value "
          "of 1 or more is vacuous: networks and data of practical size are far beyond, and only rankings of "
          "networks can be read from it.\n\n"
          "The margin bound needs a chain of dense layers and convolutions without biases, with relu, tanh "
          "and "
          "pools whose windows do not overlap between them. Of any other network it is left out, with the "
          "reason, and all the rest is printed. The same command gives the same numbers, whatever the number "
          "of threads.",
      .examples =
          {"temblor generalize --network net.h5 --dataset fashion-mnist --eps 3e-4,1e-3 -o gen.h5",
           "temblor generalize --network net.h5 --dataset fashion-mnist --eps 1e-3 --layers 0 --gamma "
           "1,10 --prior-seed 1 --images 200 --bound interval --json"},
      .positionals = {},
      .options =
          {{.name = "network", .value = "FILE", .help = "network file", .letter = 'n', .required = true},
           {.name = "dataset",
            .value = "NAME",
            .help = "data set ('temblor list datasets'), KIND:PATH, or path of a data file",
            .letter = 'd',
            .required = true},
           {.name = "data-dir",
            .value = "DIR",
            .help = "directory of a named data set, or its parent; otherwise TEMBLOR_DATA, then the usual "
                    "places"},
           {.name = "select",
            .value = "WHICH",
            .help = "training images: all, first:N, range:A:B (B left out), stratified:N, random:N[:SEED]",
            .initial = "all"},
           {.name = "test-select", .value = "WHICH", .help = "test images, likewise", .initial = "all"},
           {.name = "eps",
            .value = "REALS",
            .help = "largest changes of a weight: numbers and ranges lo:hi:log:n, separated by commas",
            .initial = "1e-3",
            .letter = 'e'},
           {.name = "layers",
            .value = "LAYERS",
            .help = "layers that move: all, or indices joined by +",
            .initial = "all"},
           {.name = "gamma",
            .value = "REALS",
            .help = "margins asked for on training images, in logits",
            .initial = "1"},
           {.name = "delta", .value = "REAL", .help = "failure probability of each bound", .initial = "0.05"},
           {.name = "bound",
            .value = "NAMES",
            .help = "bounds image by image, separated by commas; none",
            .initial = "norm-vector,interval,linear",
            .letter = 'b'},
           {.name = "images",
            .value = "N",
            .help = "random images of each split for what is done image by image; 0: leave it out",
            .initial = "1000"},
           {.name = "steps", .value = "N", .help = "steps of weight-pgd", .initial = "60"},
           {.name = "batch",
            .value = "N",
            .help = "images a step, for one perturbation for all",
            .initial = "1000"},
           {.name = "draws",
            .value = "N",
            .help = "random perturbations for the mean sharpness; 0: none",
            .initial = "10"},
           {.name = "sigma",
            .value = "REALS",
            .help = "standard deviations of the PAC-Bayes noise",
            .initial = "0.005:0.16:log:11"},
           {.name = "noise-draws",
            .value = "N",
            .help = "networks drawn a sigma; 0: no PAC-Bayes estimate",
            .initial = "200"},
           {.name = "prior-seed",
            .value = "N",
            .help = "centre the PAC-Bayes prior on the weights that 'temblor train --seed N' starts from, "
                    "instead of 0"},
           {.name = "seed", .value = "N", .help = "of every random choice", .initial = "1"},
           {.name = "output", .value = "FILE", .help = "write all tables there (HDF5)", .letter = 'o'},
           {.name = "json", .value = "", .help = "print JSON instead of text"}},
      .run = run_generalize};
}

}  // namespace temblor::cli
