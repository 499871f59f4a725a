#include "codes.hpp"
#include "k_weights/search.hpp"
#include "pbs/search.hpp"
#include "table.hpp"

#include <algorithm>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/perturb/faults.hpp>

namespace temblor {
namespace {

using pbs::Aim;

void refuse(const std::string& parameter, const std::string& why, const std::string& cure) {
  usage_error("attack 'progressive-bit-search', " + parameter, why, cure);
}

Aim aim_of(const Params& params) {
  const auto& name = params.text("objective");
  return name == "untargeted" ? Aim::wrong : name == "class" ? Aim::classes : Aim::margin;
}

/// Parameters that the objective does not look at are refused where they are not the default.
void check_relations(const Params& params) {
  const auto& objective = params.text("objective");
  const auto only = [&](const std::string& name, bool given, const std::string& needs) {
    if (given && objective != needs) {
      refuse(name, "objective=" + objective + " does not look at it",
             "leave " + name + " out, or take objective=" + needs);
    }
  };
  only("source", params.integer("source") != -1, "class");
  only("image", params.integer("image") != 0, "image");
  only("cap", params.real("cap") != 10, "untargeted");
  only("margin", params.real("margin") != 0, "image");
  if (objective == "each") {
    const auto own = [&](const std::string& name, bool given) {
      if (given) refuse(name, "every image has flips of its own", "leave " + name + " out");
    };
    own("batch", params.integer("batch") != 128);
    own("labels", params.text("labels") != "given");
    own("nonfinite", params.flag("nonfinite"));
    own("stop-accuracy", params.real("stop-accuracy") != -1);
  }
  if (objective == "untargeted" || objective == "each") {
    only("target", params.integer("target") != 0, "class");
    only("keep", params.real("keep") != 1, "class");
    only("stop-success", params.real("stop-success") != 1, "class");
  } else if (params.flag("nonfinite")) {
    refuse("nonfinite=true", "an image without prediction is of no class", "take objective=untargeted");
  }
}

ThreatSet flips_within(const Network& network, const std::vector<Encoded>& codes, std::int64_t flips,
                       const LayerSet& layers) {
  const Format& format = *codes.front().format;
  return flips_set(network, "format=" + format.name + " bits=all flips", flips, layers,
                   {codes, static_cast<std::uint32_t>((std::uint64_t{1} << format.bits) - 1)});
}

/// Flips of each image's own: the set that bounds of flips hold for, image by image.
class OwnFlips : public Attack {
 public:
  explicit OwnFlips(const AttackContext& context) : network_(context.network), data_(context.data) {
    check_relations(context.params);
    std::vector<Encoded> own;
    set_ = flips_within(network_, *stored_codes(context, own), static_cast<std::int64_t>(context.severity),
                        context.layers);
    options_.tries = context.params.integer("candidates");
  }
  Perturbation perturb(const Stream&) const override {
    return {few::per_sample_graph(network_, data_, set_, options_)};
  }
  ThreatSet threat() const override { return set_; }
  bool per_sample() const override { return true; }
  bool deterministic() const override { return true; }

 private:
  const Network& network_;
  const Dataset& data_;
  ThreatSet set_;
  few::Options options_;
};

/// Bits searched one by one. The images are those of the trial in every point of a campaign, so that fewer
/// flips are a prefix of more.
class ProgressiveBitSearch : public FlipSearch {
 public:
  explicit ProgressiveBitSearch(const AttackContext& context)
      : network_(context.network),
        data_(context.data),
        layers_(context.layers),
        codes_(stored_codes(context, own_codes_)) {
    const Params& params = context.params;
    check_relations(params);
    batch_.aim = aim_of(params);
    batch_.keep = params.real("keep");
    batch_.margin = params.real("margin");
    batch_.cap = params.real("cap");
    size_ = static_cast<std::uint64_t>(params.integer("batch"));
    predicted_ = params.text("labels") == "predicted";
    options_ = {.flips = static_cast<std::int64_t>(context.severity),
                .candidates = static_cast<std::size_t>(params.integer("candidates")),
                .stop_accuracy = params.real("stop-accuracy"),
                .stop_success = params.real("stop-success"),
                .nonfinite = params.flag("nonfinite")};
    if (batch_.targeted()) {
      batch_.target = static_cast<std::int32_t>(
          in_range("target", params.integer("target"), network_.classes(), "classes"));
    }
    fill_pools(params);
    for (const int layer : layers_) {
      words_.emplace_back((*codes_)[static_cast<std::size_t>(layer)], options_.nonfinite);
    }
    std::uint64_t bits = 0;
    for (const auto& words : words_) bits += words.bits_left();
    if (context.severity > static_cast<double>(bits)) {
      refuse("flips " + std::to_string(options_.flips),
             "the chosen layers hold " + std::to_string(bits) + " bits", "give at most that many");
    }
  }
  ProgressiveBitSearch(const ProgressiveBitSearch&) = delete;
  ProgressiveBitSearch& operator=(const ProgressiveBitSearch&) = delete;

  FlipLog search(const Stream& stream) const override {
    return pbs::search(network_, layers_, words_, batch(stream), options_);
  }

  Perturbation perturb(const Stream& stream) const override {
    std::vector<BitAddress> bits;
    for (const auto& [flip, effect] : search(stream).steps)
      bits.push_back({flip.layer, flip.index, flip.bit});
    std::sort(bits.begin(), bits.end());
    return with_faults(*codes_, flips_of(*codes_, bits));
  }

  ThreatSet threat() const override { return flips_within(network_, *codes_, options_.flips, layers_); }

  std::optional<CodeFaults> code_faults() const override { return CodeFaults{}; }

  bool deterministic() const override { return attacked_.size() <= size_ && kept_.size() <= size_; }

 private:
  static std::int64_t in_range(const std::string& name, std::int64_t value, std::int64_t count,
                               const std::string& things) {
    if (value < 0 || value >= count) {
      refuse(name + " " + std::to_string(value), "there are " + std::to_string(count) + " " + things,
             "give 0 to " + std::to_string(count - 1));
    }
    return value;
  }

  /// Images that the search may move, and those that it is to keep.
  void fill_pools(const Params& params) {
    const auto images = static_cast<std::size_t>(data_.size());
    if (batch_.aim == Aim::margin) {
      const auto image = in_range("image", params.integer("image"), data_.size(), "images");
      for (std::size_t n = 0; n < images; ++n)
        (static_cast<std::int64_t>(n) == image ? attacked_ : kept_).push_back(n);
      return;
    }
    if (batch_.aim == Aim::wrong) {
      attacked_.resize(images);
      std::iota(attacked_.begin(), attacked_.end(), std::size_t{0});
      return;
    }
    const auto source = params.integer("source");
    if (source != -1) in_range("source", source, network_.classes(), "classes");
    if (source == batch_.target) {
      refuse("source " + std::to_string(source), "it is the target", "give two different classes");
    }
    for (std::size_t n = 0; n < images; ++n) {
      const auto label = data_.labels[n];
      const bool attacked = source == -1 ? label != batch_.target : label == source;
      (attacked ? attacked_ : kept_).push_back(n);
    }
    if (attacked_.empty()) {
      refuse("source " + std::to_string(source), "no chosen image has this label", "choose other images");
    }
  }

  pbs::Batch batch(const Stream& stream) const {
    Stream draws = stream.across_points();
    pbs::Batch batch = batch_;
    std::vector<std::size_t> rows;
    const auto draw = [&](const std::vector<std::size_t>& pool) {
      for (const auto k : choose_distinct(draws, pool.size(), std::min<std::uint64_t>(pool.size(), size_)))
        rows.push_back(pool[k]);
    };
    draw(attacked_);
    batch.attacked = static_cast<Index>(rows.size());
    draw(kept_);
    batch.images.resize(static_cast<Index>(rows.size()), data_.images.cols());
    for (std::size_t n = 0; n < rows.size(); ++n) {
      batch.images.row(static_cast<Index>(n)) = data_.images.row(static_cast<Index>(rows[n]));
      batch.labels.push_back(data_.labels[rows[n]]);
    }
    if (predicted_) {
      const Matrix clean = logits(network_, network_.view(), batch.images);
      for (std::size_t n = 0; n < rows.size(); ++n) {
        Index top = 0;
        clean.row(static_cast<Index>(n)).maxCoeff(&top);
        batch.labels[n] = static_cast<std::int32_t>(top);
      }
    }
    return batch;
  }

  const Network& network_;
  const Dataset& data_;
  LayerSet layers_;
  std::vector<Encoded> own_codes_;
  const std::vector<Encoded>* codes_;
  pbs::Batch batch_;  ///< without images
  std::uint64_t size_;
  bool predicted_;
  pbs::Options options_;
  std::vector<std::size_t> attacked_, kept_;
  std::vector<pbs::LayerWords> words_;
};

}  // namespace

AttackEntry progressive_bit_search_entry() {
  return {
      .name = "progressive-bit-search",
      .help = "adversarial bit flips: the stored bits that hurt a batch most, found one after the other",
      .example = "--attack progressive-bit-search --flips 1,2,5,10,20 --format int8 --trials 5",
      .source = "Rakin, He, Fan, ICCV 2019; targeted: Rakin et al., TPAMI 2021, and Bai et al., ICLR 2021",
      .gradient = true,
      .stored_codes = true,
      .quantity =
          [](const Params&) {
            return Quantity{"flips", "largest number of inverted bits, all different", "bits", 0, 0x1p53,
                            true};
          },
      .params =
          {
              {.name = "objective",
               .type = ParamType::choice,
               .initial = "untargeted",
               .help =
                   "untargeted: no image as labelled; class: images of class source to class target; "
                   "image: one image to class target, the others kept; each: every image has flips of its "
                   "own, for its lowest margin (comparable with bounds)",
               .choices = {"untargeted", "class", "image", "each"}},
              {.name = "batch",
               .type = ParamType::integer,
               .initial = "128",
               .help =
                   "images the search looks at, drawn for each trial (targeted: at most as many attacked, "
                   "and as many to keep)",
               .unit = "images",
               .least = 1,
               .most = 1e6},
              {.name = "candidates",
               .type = ParamType::integer,
               .initial = "16",
               .help =
                   "bits of each layer, best by gradient first, that are tried in every iteration (each: of "
                   "all layers together)",
               .unit = "bits",
               .least = 1,
               .most = 1e9},
              {.name = "cap",
               .type = ParamType::real,
               .initial = "10",
               .help = "untargeted: an image's loss counts up to here, then the search goes on to others; 0: "
                       "without limit, as published",
               .least = 0,
               .most = 1e6},
              {.name = "labels",
               .type = ParamType::choice,
               .initial = "given",
               .help = "right is what the dataset says, or what the faultless network predicts",
               .choices = {"given", "predicted"}},
              {.name = "nonfinite",
               .type = ParamType::flag,
               .initial = "false",
               .help =
                   "flips that make a weight, or a logit of the batch, infinite or NaN are candidates, too"},
              {.name = "stop-accuracy",
               .type = ParamType::real,
               .initial = "-1",
               .help = "stops when at most this share of the batch (targeted: of the images to keep) is "
                       "right; -1: never",
               .least = -1,
               .most = 1},
              {.name = "stop-success",
               .type = ParamType::real,
               .initial = "1",
               .help =
                   "targeted: stops when at least this share of the attacked images of the batch is where "
                   "wanted",
               .least = 0,
               .most = 1},
              {.name = "source",
               .type = ParamType::integer,
               .initial = "-1",
               .help = "objective class: label of the attacked images; -1: every label but the target",
               .least = -1,
               .most = 99999},
              {.name = "target",
               .type = ParamType::integer,
               .initial = "0",
               .help = "objectives class and image: class the attacked images are to get",
               .least = 0,
               .most = 99999},
              {.name = "image",
               .type = ParamType::integer,
               .initial = "0",
               .help = "objective image: the attacked image, by its place among the chosen ones",
               .least = 0,
               .most = 1e9},
              {.name = "keep",
               .type = ParamType::real,
               .initial = "1",
               .help = "targeted: weight of the mean cross-entropy of the images to keep",
               .least = 0,
               .most = 1e6},
              {.name = "margin",
               .type = ParamType::real,
               .initial = "0",
               .help = "objective image: lead of the target's logit from which nothing more is gained",
               .least = 0,
               .most = 1e6},
          },
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        if (context.params.text("objective") == "each") return std::make_unique<OwnFlips>(context);
        return std::make_unique<ProgressiveBitSearch>(context);
      },
  };
}

}  // namespace temblor
