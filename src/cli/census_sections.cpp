#include "census_sections.hpp"

namespace temblor::cli {
namespace {

/// What is printed and stored beside the dense arrays.
class Summary {
 public:
  Summary(const StoredNetwork& stored, const Census& census, const CensusIdentity& of, std::size_t top)
      : stored_(stored), census_(census), of_(of), folds_(fold_census(census, of.correct)) {
    add_fields();
    add_bits();
    add_critical(top);
  }

  std::vector<Section> sections() const { return {fields_, bits_, critical_}; }

 private:
  static std::vector<Field> with_folds(std::vector<Field> keys) {
    const std::vector<Field> folds{
        {"faults", "", "single-bit faults"},
        {"changing", "", "faults that change a prediction or leave an image without one"},
        {"detectable", "", "faults that leave some image without prediction"},
        {"sdc", "", "mean share of images whose prediction changes silently", 3},
        {"no prediction", "", "mean share of images without prediction", 3},
        {"accuracy", "", "mean accuracy over the faults", 6},
        {"least accuracy", "", "accuracy under the worst fault"},
        {"worst drop", "logit", "largest margin drop of any fault on any image"}};
    keys.insert(keys.end(), folds.begin(), folds.end());
    return keys;
  }

  std::vector<Cell> with_folds(std::vector<Cell> keys, const CensusFold& fold) const {
    const auto images = static_cast<double>(of_.images);
    const double outcomes = images * static_cast<double>(fold.faults);
    const auto share = [&](std::int64_t sum) { return static_cast<double>(sum) / outcomes; };
    const double lost = static_cast<double>(fold.fixed - fold.broken) / static_cast<double>(fold.faults);
    const std::vector<Cell> cells{fold.faults,
                                  fold.changing,
                                  fold.detectable,
                                  share(fold.changed),
                                  share(fold.no_prediction),
                                  (static_cast<double>(of_.correct) + lost) / images,
                                  static_cast<double>(fold.least_correct) / images,
                                  fold.worst_drop};
    keys.insert(keys.end(), cells.begin(), cells.end());
    return keys;
  }

  /// Folds for which `same` holds, as one.
  template <class Same>
  CensusFold folded(const Same& same) const {
    CensusFold sum;
    sum.least_correct = of_.correct;
    for (const CensusFold& fold : folds_) {
      if (same(fold)) sum.add(fold);
    }
    return sum;
  }

  void add_fields() {
    const Format& format = *stored_.format;
    for (const LayerCensus& layer : census_.layers) {
      for (auto field = format.fields.rbegin(); field != format.fields.rend(); ++field) {
        const auto sum = folded([&](const CensusFold& fold) {
          return fold.layer == layer.layer && fold.bit >= field->low && fold.bit < field->low + field->bits;
        });
        if (sum.faults == 0) continue;
        fields_.add(with_folds(
            {std::int64_t{layer.layer}, stored_.network.layer_name(layer.layer), field->name}, sum));
      }
    }
    const auto all = folded([](const CensusFold&) { return true; });
    fields_.add(with_folds({Cell{}, std::string("all"), std::string("all")}, all));
  }

  void add_bits() {
    for (auto bit = census_.bits.rbegin(); bit != census_.bits.rend(); ++bit) {
      const auto sum = folded([&](const CensusFold& fold) { return fold.bit == *bit; });
      bits_.add(with_folds({std::int64_t{*bit}, field_of(*stored_.format, *bit)}, sum));
    }
  }

  void add_critical(std::size_t top) {
    std::int64_t rank = 0;
    for (const CensusFault& fault : most_critical(census_, top)) {
      const LayerCensus& layer = census_.layers[fault.layer];
      const std::size_t f = fault.fault;
      const std::size_t index = f / census_.bits.size();
      const int bit = census_.bits[f % census_.bits.size()];
      const Encoded& codes = stored_.codes[static_cast<std::size_t>(layer.layer)];
      const std::uint32_t code = codes.codes[index];
      const auto inputs = static_cast<std::int64_t>(layer.inputs);
      critical_.add(
          {++rank, std::int64_t{layer.layer}, stored_.network.layer_name(layer.layer),
           static_cast<std::int64_t>(index) / inputs, static_cast<std::int64_t>(index) % inputs,
           std::int64_t{bit}, field_of(*stored_.format, bit), static_cast<double>(codes.decode(index, code)),
           static_cast<double>(codes.decode(index, code ^ (1U << static_cast<unsigned>(bit)))),
           of_.correct - layer.broken[f] + layer.fixed[f], std::int64_t{layer.changed[f]},
           std::int64_t{layer.broken[f]}, std::int64_t{layer.fixed[f]}, std::int64_t{layer.no_prediction[f]},
           layer.worst_drop[f], std::int64_t{layer.worst_image[f]}});
    }
  }

  const StoredNetwork& stored_;
  const Census& census_;
  const CensusIdentity& of_;
  std::vector<CensusFold> folds_;
  Section fields_{"layers", "Faults by layer and field",
                  with_folds({{"layer", "", "weighted layer, -1 for all"},
                              {"name", "", "its name"},
                              {"field", "", "field of the code"}})};
  Section bits_{
      "bits", "Faults by bit, chosen layers together",
      with_folds({{"bit", "", "bit of the code, 0 the least significant"}, {"field", "", "its field"}})};
  Section critical_{"critical",
                    "Most critical bits: images lost, then images changed or without prediction",
                    {{"rank", "", "1 for the most critical"},
                     {"layer", "", "weighted layer"},
                     {"name", "", "its name"},
                     {"output", "", "row of the weight"},
                     {"input", "", "column of the weight"},
                     {"bit", "", "bit of the code"},
                     {"field", "", "its field"},
                     {"weight", "weight", "decoded value without fault"},
                     {"faulty", "weight", "decoded value with it"},
                     {"correct", "images", "finite logits and prediction equal to the label"},
                     {"changed", "images", "finite logits, prediction not the golden"},
                     {"broken", "images", "right without fault, wrong or no prediction with it"},
                     {"fixed", "images", "wrong without fault, right with it"},
                     {"no prediction", "images", "some logit is not finite"},
                     {"worst drop", "logit", "largest margin drop"},
                     {"worst image", "", "row of /samples with it"}}};
};

}  // namespace

std::vector<Section> census_sections(const StoredNetwork& stored, const Census& census,
                                     const CensusIdentity& of, std::size_t top) {
  return Summary(stored, census, of, top).sections();
}

}  // namespace temblor::cli
