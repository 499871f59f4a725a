#include <algorithm>
#include <cmath>
#include <mutex>
#include <ostream>
#include <sstream>

#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/certify_file.hpp>
#include <temblor/campaign/interrupt.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/certify_tables.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/data_options.hpp>
#include <temblor/cli/new_file.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/cli/set_options.hpp>
#include <temblor/network/file.hpp>

namespace temblor::cli {
namespace {

std::vector<std::string> names_of(const Arguments& arguments, const std::string& option) {
  auto names = split(arguments.required(option), ',');
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::count(names.begin(), names.end(), names[i]) > 1)
      usage_error("--" + option, "'" + names[i] + "' is given twice", "name each once");
  }
  return names;
}

std::vector<double> chosen_severities(const Arguments& arguments) {
  auto severities = parse_reals(arguments.required("eps"), "--eps", 0.0);
  std::sort(severities.begin(), severities.end());
  const auto twice = std::adjacent_find(severities.begin(), severities.end());
  if (twice != severities.end()) usage_error("--eps", to_text(*twice) + " is given twice", "drop one");
  return severities;
}

std::vector<LayerSet> chosen_layers(const Arguments& arguments, const Network& network) {
  std::vector<LayerSet> choices{parse_layers(arguments.required("layers"), network)};
  if (!arguments.flag("per-layer") || choices.front().size() < 2) return choices;
  for (const int layer : LayerSet(choices.front())) choices.push_back({layer});
  return choices;
}

/// --set NAME.PARAMETER=VALUE, told apart by whose name comes first.
struct ParameterTexts {
  BoundParams bounds;
  std::map<std::string, std::map<std::string, std::string>> attacks;
};

ParameterTexts parameter_texts(const Arguments& arguments, const std::vector<std::string>& bounds,
                               const std::vector<std::string>& attacks) {
  ParameterTexts texts;
  for (const auto& [key, value] : assignments(arguments.all("set"))) {
    const auto dot = key.find('.');
    const auto name = key.substr(0, dot);
    if (dot != std::string::npos && std::find(attacks.begin(), attacks.end(), name) != attacks.end()) {
      texts.attacks[name][key.substr(dot + 1)] = value;
    } else {
      set_bound_param(texts.bounds, bounds, key, value);
    }
  }
  return texts;
}

/// The attack with the parameters that make it search sets like `set`, image by image. Empty where its table
/// entry has no such choice.
std::optional<CertifyAttack> attack_on(const AttackEntry& entry, std::map<std::string, std::string> given,
                                       const ThreatSet& set) {
  const auto spec = [&](const std::string& name) {
    return std::find_if(entry.params.begin(), entry.params.end(),
                        [&](const ParamSpec& param) { return param.name == name; });
  };
  const auto choose = [&](const std::string& name, const std::string& value) {
    const auto found = spec(name);
    if (found == entry.params.end()) return false;
    if (found->type == ParamType::choice &&
        std::find(found->choices.begin(), found->choices.end(), value) == found->choices.end()) {
      return false;
    }
    given.emplace(name, value);
    return true;
  };
  choose("scope", "sample");
  if (!choose("ball", to_text(set.ball)) && set.ball != Ball::linf) return std::nullopt;
  choose("search", "0");
  choose("biases", set.biases ? "true" : "false");
  if (set.input > 0 && !choose("input-eps", to_text(set.input))) return std::nullopt;
  return CertifyAttack{&entry, Params("attack '" + entry.name + "'", entry.params, given)};
}

SeverityGrid radius_grid(const Arguments& arguments) {
  const auto ends = split(arguments.required("radius-range"), ':');
  if (ends.size() != 2)
    usage_error("--radius-range " + arguments.required("radius-range"), "not LO:HI", "as in 1e-7:1");
  return SeverityGrid::geometric(parse_real(ends[0], "--radius-range"), parse_real(ends[1], "--radius-range"),
                                 parse_real(arguments.required("tolerance"), "--tolerance"));
}

/// Says what is being done to a terminal, and stops when asked to.
class Steps {
 public:
  explicit Steps(const Streams& streams) : streams_(streams) {}
  ~Steps() {
    if (shown_) streams_.err << "\r\033[K" << std::flush;
  }
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

  void operator()(const std::string& what) {
    if (InterruptGuard::requested())
      throw Error(Exit::interrupted, "stopped", "asked to",
                  "nothing was written; the same command begins anew");
    if (!streams_.terminal) return;
    const std::lock_guard lock(mutex_);
    streams_.err << "\r" << what << "\033[K" << std::flush;
    shown_ = true;
  }

 private:
  const Streams& streams_;
  std::mutex mutex_;
  bool shown_ = false;
};

void print(const Streams& streams, const std::vector<TitledTable>& tables, bool json) {
  if (!json) {
    for (std::size_t i = 0; i < tables.size(); ++i) {
      streams.out << (i == 0 ? "" : "\n") << tables[i].title << '\n';
      write_text(streams.out, tables[i].table);
    }
    return;
  }
  nlohmann::ordered_json all;
  for (const auto& [name, title, table] : tables) {
    std::ostringstream text;
    write(text, table, TableFormat::json);
    all[name] = nlohmann::ordered_json::parse(text.str());
  }
  streams.out << all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

/// Names what breaks a proof; the number of images.
std::int64_t name_violations(std::ostream& err, const CertifyRequest& request,
                             const Certificates& certificates) {
  std::int64_t all = 0;
  const auto say = [&](std::size_t layers, std::size_t bound, std::int64_t images, const std::string& what) {
    if (images == 0) return;
    all += images;
    err << "temblor: bound " << request.bounds[bound].entry->name << " is VIOLATED, layers "
        << layers_text(request.layers[layers], request.stored.network) << ", " << images
        << " images: " << what << '\n';
  };
  for (const auto& row : summarise(request, certificates)) {
    say(row.layers, row.bound, row.violated,
        "an attack drops more at " + request.family.quantity.name + " " +
            to_text(request.severities[row.severity]));
  }
  for (std::size_t c = 0; c < certificates.attacks.size(); ++c) {
    for (std::size_t b = 0; b < request.bounds.size(); ++b) {
      say(c, b, broken_radii(certificates.bounds[c][b], certificates.attacks[c]),
          "an attack takes the label away within the certified radius");
    }
  }
  return all;
}

int run_certify(const Arguments& arguments, const Streams& streams) {
  const auto bound_names = names_of(arguments, "bound");
  const auto attack_names =
      arguments.required("attack") == "none" ? std::vector<std::string>{} : names_of(arguments, "attack");
  const auto texts = parameter_texts(arguments, bound_names, attack_names);
  const auto& format = find_format(arguments.required("format"));
  std::vector<CertifyBound> bounds;
  for (const auto& name : bound_names) {
    const auto& entry = find_bound(name);
    bounds.push_back({&entry, checked_params(entry, texts.bounds)});
  }
  const std::string network_path = arguments.required("network");
  const auto output = arguments.text("output");
  if (output) check_output(*output, certificates_filetype, {network_path});
  const Network network = load_network(network_path);
  const StoredNetwork stored = store(network, format);
  Dataset data = load_dataset(data_request(arguments), network.scaling());
  check_fits(network, network_path, data);
  choose_labels(arguments, logits(stored.network, stored.network.view(), data.images, true), data);

  const auto at = [&](double severity, const LayerSet& layers) {
    Arguments one = arguments;
    one.values["layers"] = {layers_text(layers, stored.network)};
    return threat_set(one, stored, severity);
  };
  auto layers = chosen_layers(arguments, stored.network);
  auto severities = chosen_severities(arguments);
  CertifyRequest request{.stored = stored,
                         .data = data,
                         .family = {at, {"eps", "severity of the set", "", 0, 1e30, false}},
                         .layers = std::move(layers),
                         .severities = std::move(severities),
                         .bounds = std::move(bounds),
                         .arithmetic = !arguments.flag("no-arithmetic")};
  request.seed = static_cast<std::uint64_t>(parse_integer(arguments.required("seed"), "--seed", 0));
  if (!arguments.flag("no-radius")) request.grid = radius_grid(arguments);
  request.attack_radius = arguments.flag("attack-radius");
  const auto first = at(request.severities.front(), request.layers.front());
  for (const auto& name : attack_names) {
    const auto& entry = find_attack(name);
    const auto given = texts.attacks.find(name);
    const auto attack = attack_on(
        entry, given == texts.attacks.end() ? std::map<std::string, std::string>{} : given->second, first);
    // What the attack's parameters cannot say (rounding, for example) shows in the set it makes.
    const auto searches = [&] {
      return attack && make_attack(entry, {stored.network, data, format, request.layers.front(),
                                           request.severities.front(), attack->params, &stored})
                               ->threat()
                               .key == first.key;
    };
    if (searches()) {
      request.attacks.push_back(*attack);
    } else if (arguments.given("attack")) {
      usage_error("--attack " + name, "it does not search sets like " + first.key, "leave it out");
    } else {
      streams.err << "temblor: attack " << name << " does not search sets like " << first.key
                  << ": bounds alone\n";
    }
  }
  if (request.attack_radius && (request.attacks.empty() || !request.grid)) {
    usage_error("--attack-radius", "there is no attack, or no search for radii",
                "leave it out, or --attack none and --no-radius");
  }

  std::optional<NewFile> file;
  if (output) file.emplace(*output);
  const InterruptGuard guard;
  Steps steps(streams);
  request.step = std::ref(steps);
  const auto certificates = certify(request);
  bool any = false;
  for (std::size_t b = 0; b < request.bounds.size(); ++b) {
    const auto& refused = certificates.bounds.front()[b].refused;
    any = any || refused.empty();
    if (!refused.empty())
      streams.err << "temblor: " << request.bounds[b].entry->name << " does not apply: " << refused << '\n';
  }
  if (!any) usage_error("--bound " + arguments.required("bound"), "none of them applies", "choose others");

  if (file) {
    write_certificates(file->file(), request, certificates);
    file->file().set_text("network_id", network.id());
    file->file().set_text("dataset_id", data.id);
    write_provenance(file->file(), arguments, data);
    attach_scales(file->file());
    file->finish();
  }
  print(streams, certify_tables(request, certificates), arguments.flag("json"));
  return static_cast<int>(name_violations(streams.err, request, certificates) == 0 ? Exit::ok
                                                                                   : Exit::check_failed);
}

}  // namespace

Subcommand certify_command() {
  Subcommand command{
      .name = "certify",
      .help = "certified accuracy and radii, tightness against attacks, sensitivity of layers",
      .details =
          "For each bound: how many images have a label that every network of the set is proven to predict, "
          "at each severity, in exact arithmetic and for float32 evaluation in any order of summation; and "
          "for each image the certified radius, the largest severity at which its label is proven, found by "
          "halving up to --tolerance. A radius that is given was proven itself.\n"
          "\n"
          "Attacks run inside, image by image on the same sets: what they reach is held against the bounds "
          "(tightness = attack drop / bound), and with --attack-radius the smallest severity at which one "
          "takes the label away is searched too: the true radius lies between. With bound 'exact' among "
          "the bounds the others are graded against it as well. Attack weight-pgd runs here without its "
          "search "
          "of subproblems, for the sake of time, unless --set weight-pgd.search=N asks for it. --per-layer "
          "does all of it again with one "
          "layer perturbed at a time.\n"
          "\n"
          "Ends with code 1 when an attack exceeds a bound. Ctrl-C stops between steps and writes nothing.",
      .examples = {"temblor certify --network net.h5 --dataset fashion-mnist --select first:1000 "
                   "--bound interval,linear --eps 1e-4:1e-2:log:5 -o cert.h5",
                   "temblor certify --network net.h5 --dataset fashion-mnist --select first:100 --eps 1e-3 "
                   "--per-layer --attack-radius --set weight-pgd.steps=50"},
      .positionals = {},
      .options =
          {{.name = "network", .value = "FILE", .help = "network file", .letter = 'n', .required = true},
           {.name = "bound",
            .value = "NAMES",
            .help = "bounds, separated by commas",
            .initial = "norm-product,interval,linear",
            .letter = 'b'},
           severity_option(),
           {.name = "set",
            .value = "NAME.PARAMETER=VALUE",
            .help = "parameter of a bound or attack (temblor list bounds, temblor list attacks)",
            .repeat = true},
           {.name = "attack",
            .value = "NAMES",
            .help = "attacks to hold the bounds against, separated by commas, or none",
            .initial = "weight-pgd"},
           {.name = "per-layer", .value = "", .help = "again with each of the layers alone"},
           {.name = "no-radius", .value = "", .help = "no search for certified radii"},
           {.name = "attack-radius", .value = "", .help = "search the attacks' radii too"},
           {.name = "tolerance",
            .value = "REAL",
            .help = "largest relative step between severities that radii are searched on",
            .initial = "0.01"},
           {.name = "radius-range",
            .value = "LO:HI",
            .help = "smallest and largest severity that radii are searched on",
            .initial = "1e-7:1"},
           {.name = "seed", .value = "N", .help = "key of the attacks' random streams", .initial = "1"},
           {.name = "format",
            .value = "NAME",
            .help = "number format of the weights at the centre",
            .initial = "fp32"},
           {.name = "no-arithmetic",
            .value = "",
            .help = "exact arithmetic alone, without what float32 evaluation may add"},
           {.name = "output", .value = "FILE", .help = "write everything there", .letter = 'o'},
           {.name = "json", .value = "", .help = "print JSON instead of text"}},
      .run = run_certify};
  for (auto& option : set_options()) command.options.push_back(std::move(option));
  for (auto& option : data_options()) command.options.push_back(std::move(option));
  return command;
}

}  // namespace temblor::cli
