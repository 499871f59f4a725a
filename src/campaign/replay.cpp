#include <algorithm>
#include <bit>
#include <filesystem>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/plan.hpp>
#include <temblor/campaign/replay.hpp>
#include <temblor/campaign/runner.hpp>
#include <temblor/campaign/trial_columns.hpp>
#include <temblor/network/file.hpp>
#include <temblor/perturb/activations.hpp>

namespace temblor {
namespace {

void check_range(const std::string& what, std::int64_t value, std::int64_t count) {
  if (value >= 0 && value < count) return;
  usage_error(what + " " + std::to_string(value), "there are " + std::to_string(count),
              "give 0 to " + std::to_string(count - 1));
}

/// The path as it is, else that of the same name beside the result file.
std::string found(const std::string& path, const std::string& result) {
  const auto beside = std::filesystem::path(result).parent_path() / std::filesystem::path(path).filename();
  return !std::filesystem::exists(path) && std::filesystem::exists(beside) ? beside.string() : path;
}

/// The stored spec with its files where they are now: as stored, else beside the result file.
Spec located_spec(const ResultFile& result, const std::optional<std::string>& network,
                  const std::optional<std::string>& directory) {
  auto spec = parse_spec(result.spec(), result.path() + ", /provenance/spec", "");
  spec.network = network ? *network : found(spec.network, result.path());
  for (auto& attack : spec.attacks) {
    for (const auto& param : find_attack(attack.name).params) {
      const auto given = attack.params.find(param.name);
      if (param.type == ParamType::file && given != attack.params.end())
        given->second = found(given->second, result.path());
    }
  }
  if (directory) spec.data.directory = *directory;
  return spec;
}

void check_inputs(const ResultFile& result, const Plan& plan) {
  if (plan.data.id != result.dataset_id()) {
    input_error("dataset " + plan.data.name + " (" + join(plan.data.files, ", ") + ") is not the campaign's",
                "its id is " + plan.data.id.substr(0, 12) + ", " + result.path() + " was made with " +
                    result.dataset_id().substr(0, 12),
                "give the directory of the original files with --data-dir");
  }
  if (plan.id == result.campaign_id()) return;
  const auto identity = result.file().read_strings("/provenance/identity");
  input_error(result.path() + " cannot be replayed by this program",
              identity.empty() ? "its identity is missing" : difference(identity.front(), plan.identity),
              "use the version that made it (/provenance/version)");
}

Network perturbed_network(const Plan& plan, const Network& base, const Perturbation& perturbation,
                          std::int64_t sample) {
  std::vector<std::optional<Weights>> layers;
  if (const auto* sparse = std::get_if<SparseDelta>(&perturbation.delta)) {
    layers = perturbed_weights(base, *sparse);
  } else if (const auto* dense = std::get_if<DenseDelta>(&perturbation.delta)) {
    layers = dense->layers;
  } else if (const auto* own = std::get_if<SampleDelta>(&perturbation.delta)) {
    const Matrix image = plan.data.images.row(static_cast<Index>(sample));
    layers = perturbed_weights(base, *own, static_cast<Index>(sample), image);
  }
  Network network = base;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    if (layers[layer]) network = network.with(static_cast<int>(layer), *layers[layer]);
  }
  return network;
}

std::vector<ActivationFlip> flips_of(const Network& held, const ActivationFaults& faults) {
  std::vector<ActivationFlip> flips;
  for (const ActivationBit& bit : faults.bits) {
    const ActivationSite& site = faults.sites->at(bit.site);
    const Shape& shape = held.nodes()[static_cast<std::size_t>(site.node)].shape;
    flips.push_back({bit.sample, site.layer < 0 ? "image" : held.layer_name(site.layer),
                     unit_name(shape, bit.unit), static_cast<int>(bit.bit)});
  }
  return flips;
}

}  // namespace

bool same_trial(const TrialRow& a, const TrialRow& b) {
  const auto bits = [](double value) {
    return value != value ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(value);
  };
  return a.point == b.point && a.outcome == b.outcome &&
         std::all_of(trial_whole_columns.begin(), trial_whole_columns.end(),
                     [&](const auto& column) { return a.*column.member == b.*column.member; }) &&
         std::all_of(trial_real_columns.begin(), trial_real_columns.end(),
                     [&](const auto& column) { return bits(a.*column.member) == bits(b.*column.member); });
}

Plan plan_again(const ResultFile& result, const std::optional<std::string>& network,
                const std::optional<std::string>& directory) {
  if (result.bounds_only())
    input_error("'" + result.path() + "' has no trials", "it holds bounds alone", "give a campaign's result");
  const auto spec = located_spec(result, network, directory);
  if (const auto id = load_network(spec.network).id(); id != result.network_id()) {
    input_error("network '" + spec.network + "' is not the campaign's",
                "its id is " + id.substr(0, 12) + ", " + result.path() + " was made with " +
                    result.network_id().substr(0, 12),
                "give the original with --network");
  }
  auto plan = make_plan(spec);
  check_inputs(result, plan);
  return plan;
}

Replay replay(const ReplayRequest& request) {
  const ResultFile result(request.file);
  if (result.bounds_only())
    input_error("'" + request.file + "' has no trials", "it holds bounds alone", "give a campaign's result");
  check_range("point", request.point, static_cast<std::int64_t>(result.points().size()));
  const auto index = static_cast<std::size_t>(request.point);
  const auto& row = result.points()[index];
  check_range("trial", request.trial, row.trials);
  if (request.sample) check_range("sample", *request.sample, static_cast<std::int64_t>(result.samples()));

  const auto plan = plan_again(result, request.network, request.directory);
  const auto& point = plan.points[index];
  const auto& base = plan.bases[point.base].network;
  const auto attack = make_attack(*point.attack, plan.context(point));
  const auto protection = plan.protection(point);
  const Evaluator evaluator(base, plan.data, request.activation_memory);
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  auto run = run_trial(plan, index, request.trial, *attack, *protection, evaluator, scratch, samples);

  Replay replayed;
  replayed.network = plan.spec.network;
  replayed.description = plan.describe(point);
  replayed.stored = result.trials()[static_cast<std::size_t>(row.first_trial + request.trial)];
  replayed.again = run.row;
  replayed.message = run.message;
  if (run.row.outcome != Outcome::done) return replayed;
  replayed.per_sample = run.per_sample;
  replayed.sample = request.sample.value_or(run.row.worst_sample);
  replayed.drop = samples.drop[static_cast<std::size_t>(replayed.sample)];
  if (const auto* search = dynamic_cast<const FlipSearch*>(attack.get())) {
    replayed.log = search->search(trial_stream(plan, index, request.trial));
  }
  replayed.format = plan.bases[point.base].format;
  for (int layer = 0; layer < base.layers(); ++layer) replayed.layers.push_back(base.layer_name(layer));
  if (const auto* faults = std::get_if<ActivationFaults>(&run.perturbation.delta)) {
    replayed.activations = flips_of(base, *faults);
  } else {
    replayed.broken = perturbed_network(plan, base, run.perturbation, replayed.sample);
  }
  const auto* samples_delta = std::get_if<SampleDelta>(&run.perturbation.delta);
  if (samples_delta != nullptr && samples_delta->images.size() > 0) {
    replayed.image = samples_delta->images.row(static_cast<Index>(replayed.sample));
  }
  return replayed;
}

}  // namespace temblor
