#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/census_file.hpp>
#include <temblor/formats/format.hpp>

namespace temblor {
namespace {

/// A dense array of whole numbers.
struct Counts {
  const char* name;
  const char* unit;
  const char* meaning;
  std::vector<std::int32_t> LayerCensus::*member;
};

constexpr Counts counts[] = {
    {"changed", "images", "silent data corruption: finite logits, prediction not the golden",
     &LayerCensus::changed},
    {"broken", "images", "right without fault, wrong or no prediction with it", &LayerCensus::broken},
    {"fixed", "images", "wrong without fault, right with it", &LayerCensus::fixed},
    {"no_prediction", "images", "some logit is not finite (detectable)", &LayerCensus::no_prediction},
    {"worst_image", "", "row of /samples with the largest margin drop, -1 when none loses margin",
     &LayerCensus::worst_image},
};
constexpr const char* drop_meaning =
    "largest margin drop over the images, to 24 bits; 0 when none loses margin, inf when some logit is not "
    "finite";

std::string group_of(int layer) {
  return "/faults/" + std::to_string(layer) + "/";
}

/// Rounded to 24 significant bits: more are below the rounding of float32 inference, and zeros compress.
double rounded(double value) {
  if (!std::isfinite(value)) return value;
  constexpr std::uint64_t low = (std::uint64_t{1} << 29U) - 1;
  return std::bit_cast<double>((std::bit_cast<std::uint64_t>(value) + low / 2) & ~low);
}

[[noreturn]] void damaged(const std::string& path, const std::string& object, const std::string& why) {
  input_error(path + ", " + object, why, "the file is damaged; make it again with temblor census");
}

template <class T>
T one(const hdf5::File& file, const std::string& name) {
  const auto values = file.get<T>(name);
  if (!values || values->size() != 1)
    damaged(file.file_name(), "attribute " + name, "missing, or not one number");
  return values->front();
}

std::string text(const hdf5::File& file, const std::string& name) {
  const auto value = file.text(name);
  if (!value) damaged(file.file_name(), "attribute " + name, "missing");
  return *value;
}

}  // namespace

void CensusFold::add(const CensusFold& other) {
  faults += other.faults;
  changing += other.changing;
  detectable += other.detectable;
  changed += other.changed;
  broken += other.broken;
  fixed += other.fixed;
  no_prediction += other.no_prediction;
  least_correct = std::min(least_correct, other.least_correct);
  worst_drop = std::max(worst_drop, other.worst_drop);
}

std::vector<CensusFold> fold_census(const Census& census, std::int64_t golden_correct) {
  std::vector<CensusFold> folds;
  const std::size_t bits = census.bits.size();
  for (const LayerCensus& layer : census.layers) {
    const std::size_t first = folds.size();
    for (const int bit : census.bits) {
      CensusFold fold;
      fold.layer = layer.layer;
      fold.bit = bit;
      fold.least_correct = golden_correct;
      folds.push_back(fold);
    }
    for (std::size_t f = 0; f < layer.faults(); ++f) {
      CensusFold& fold = folds[first + f % bits];
      ++fold.faults;
      fold.changing += layer.changed[f] > 0 || layer.no_prediction[f] > 0 ? 1 : 0;
      fold.detectable += layer.no_prediction[f] > 0 ? 1 : 0;
      fold.changed += layer.changed[f];
      fold.broken += layer.broken[f];
      fold.fixed += layer.fixed[f];
      fold.no_prediction += layer.no_prediction[f];
      fold.least_correct =
          std::min<std::int64_t>(fold.least_correct, golden_correct - layer.broken[f] + layer.fixed[f]);
      fold.worst_drop = std::max(fold.worst_drop, layer.worst_drop[f]);
    }
  }
  return folds;
}

std::vector<CensusFault> most_critical(const Census& census, std::size_t count) {
  struct Ranked {
    std::int32_t lost;
    std::int32_t touched;
    CensusFault fault;
  };
  const auto before = [](const Ranked& a, const Ranked& b) {
    return std::tuple(-a.lost, -a.touched, a.fault.layer, a.fault.fault) <
           std::tuple(-b.lost, -b.touched, b.fault.layer, b.fault.fault);
  };
  std::vector<Ranked> best;  // a heap with the least critical in front
  for (std::size_t l = 0; l < census.layers.size() && count > 0; ++l) {
    const LayerCensus& layer = census.layers[l];
    for (std::size_t f = 0; f < layer.faults(); ++f) {
      const std::int32_t touched = layer.changed[f] + layer.no_prediction[f];
      if (touched == 0) continue;
      const Ranked fault{layer.broken[f] - layer.fixed[f], touched, {l, f}};
      if (best.size() == count) {
        if (!before(fault, best.front())) continue;
        std::pop_heap(best.begin(), best.end(), before);
        best.pop_back();
      }
      best.push_back(fault);
      std::push_heap(best.begin(), best.end(), before);
    }
  }
  std::sort(best.begin(), best.end(), before);
  std::vector<CensusFault> faults;
  for (const Ranked& ranked : best) faults.push_back(ranked.fault);
  return faults;
}

void write_census(const hdf5::File& file, const CensusIdentity& identity, const Census& census) {
  hdf5::stamp(file, census_filetype, census_major, census_minor);
  file.set_text("network_id", identity.network_id);
  file.set_text("dataset_id", identity.dataset_id);
  file.set_text("format", identity.format);
  file.set_text("method", join(census.methods(), ", ") +
                              (census.traced ? std::string() : ": " + census.why_not_traced));
  const auto number = [&](const char* name, std::int64_t value) {
    file.set<std::int64_t>(name, std::span<const std::int64_t>(&value, 1));
  };
  number("images", identity.images);
  number("correct", identity.correct);
  number("layers", identity.layers);
  number("inferred_pairs", census.inferred);
  const std::vector<std::int32_t> bits(census.bits.begin(), census.bits.end());
  file.write<std::int32_t>("/faults/bit", bits, {bits.size()});
  file.set_text("unit", "", "/faults/bit");
  file.set_text("meaning", "bit of the code, 0 the least significant", "/faults/bit");
  for (const LayerCensus& layer : census.layers) {
    const hdf5::Dims dims{static_cast<std::uint64_t>(layer.outputs), static_cast<std::uint64_t>(layer.inputs),
                          bits.size()};
    const auto describe = [&](const std::string& path, const char* unit, const char* meaning) {
      file.set_text("unit", unit, path);
      file.set_text("meaning", meaning, path);
      file.attach_scale(path, 2, "/faults/bit", "bit");
    };
    for (const Counts& array : counts) {
      const std::string path = group_of(layer.layer) + array.name;
      file.write<std::int32_t>(path, layer.*array.member, dims);
      describe(path, array.unit, array.meaning);
    }
    const std::string path = group_of(layer.layer) + "worst_drop";
    std::vector<double> drops(layer.worst_drop.size());
    std::transform(layer.worst_drop.begin(), layer.worst_drop.end(), drops.begin(), rounded);
    file.write<double>(path, drops, dims);
    describe(path, "logit", drop_meaning);
  }
}

CensusFile::CensusFile(const std::string& name) : path(name) {
  const auto file = hdf5::File::open(name, hdf5::File::Mode::read);
  hdf5::check_stamp(file, census_filetype, census_major);
  identity.network_id = text(file, "network_id");
  identity.dataset_id = text(file, "dataset_id");
  identity.format = text(file, "format");
  identity.images = one<std::int64_t>(file, "images");
  identity.correct = one<std::int64_t>(file, "correct");
  identity.layers = one<std::int64_t>(file, "layers");
  census.inferred = one<std::int64_t>(file, "inferred_pairs");
  census.traced = text(file, "method").find(':') == std::string::npos;
  const int most = find_format(identity.format).bits;
  for (const std::int32_t bit : file.read<std::int32_t>("/faults/bit")) {
    if (bit < 0 || bit >= most || (!census.bits.empty() && bit <= census.bits.back()))
      damaged(name, "/faults/bit", "no ascending bits of format " + identity.format);
    census.bits.push_back(bit);
  }
  if (census.bits.empty()) damaged(name, "/faults/bit", "it is empty");
  std::vector<int> layers;
  for (const std::string& child : file.group("/faults").children()) {
    if (child == "bit") continue;
    if (child.empty() || child.size() > 6 || child.find_first_not_of("0123456789") != std::string::npos)
      damaged(name, "/faults/" + child, "not the number of a layer");
    layers.push_back(std::stoi(child));
  }
  std::sort(layers.begin(), layers.end());
  for (const int number : layers) {
    LayerCensus layer;
    layer.layer = number;
    const hdf5::Dims dims = file.dims(group_of(number) + "changed");
    if (dims.size() != 3 || dims[2] != census.bits.size())
      damaged(name, group_of(number) + "changed", "it is not [output x input x bit]");
    layer.outputs = static_cast<Index>(dims[0]);
    layer.inputs = static_cast<Index>(dims[1]);
    for (const Counts& array : counts) {
      const std::string dataset = group_of(number) + array.name;
      if (file.dims(dataset) != dims) damaged(name, dataset, "its dimensions are not those of 'changed'");
      layer.*array.member = file.read<std::int32_t>(dataset);
    }
    if (file.dims(group_of(number) + "worst_drop") != dims)
      damaged(name, group_of(number) + "worst_drop", "its dimensions are not those of 'changed'");
    layer.worst_drop = file.read<double>(group_of(number) + "worst_drop");
    for (const Counts& array : counts) {
      const bool image = array.member == &LayerCensus::worst_image;
      const std::int64_t top = image ? identity.images - 1 : identity.images;
      for (const std::int32_t value : layer.*array.member) {
        if (value < (image ? -1 : 0) || value > top)
          damaged(name, group_of(number) + array.name, "a value of " + std::to_string(value));
      }
    }
    census.layers.push_back(std::move(layer));
  }
  if (census.layers.empty()) damaged(name, "/faults", "it has no layers");
}

std::vector<std::vector<double>> census_importance(const CensusFile& census, const std::string& network_id,
                                                   const std::string& format) {
  const auto refuse = [&](const std::string& why) {
    input_error("census '" + census.path + "' does not fit", why,
                "take one of this network in format " + format + ", with all its layers (temblor census)");
  };
  if (census.identity.network_id != network_id) refuse("it is of another network");
  if (census.identity.format != format) refuse("it is of format " + census.identity.format);
  std::vector<std::vector<double>> scores(static_cast<std::size_t>(census.identity.layers));
  const std::size_t bits = census.census.bits.size();
  for (const LayerCensus& layer : census.census.layers) {
    auto& of_layer = scores.at(static_cast<std::size_t>(layer.layer));
    of_layer.assign(layer.faults() / bits, 0);
    for (std::size_t fault = 0; fault < layer.faults(); ++fault) {
      of_layer[fault / bits] += static_cast<double>(layer.changed[fault] + layer.no_prediction[fault]);
    }
  }
  for (std::size_t layer = 0; layer < scores.size(); ++layer) {
    if (scores[layer].empty()) refuse("it leaves out layer " + std::to_string(layer));
  }
  return scores;
}

}  // namespace temblor
