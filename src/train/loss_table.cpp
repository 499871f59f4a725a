#include "loss_table.hpp"

#include "margin_bound.hpp"

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

ParamSpec real(std::string name, std::string initial, std::string help, double least, double most,
               std::string unit = "") {
  return {std::move(name),
          ParamType::real,
          std::move(initial),
          std::move(help),
          std::move(unit),
          least,
          most,
          {}};
}

ParamSpec whole(std::string name, std::string initial, std::string help, double least, double most) {
  return {std::move(name), ParamType::integer, std::move(initial), std::move(help), "", least, most, {}};
}

ParamSpec radius() {
  return real("eps", "0.001", "all weights of all layers may move by this much", 0, 1e6);
}

}  // namespace

LossSum& LossSum::operator+=(const LossSum& other) {
  loss += other.loss;
  correct += other.correct;
  return *this;
}

std::string Loss::refuses(const Network&) const {
  return {};
}

LossSum Loss::step(Batch& batch) {
  return batch.evaluate(batch.weights());
}

double Loss::penalty(const Network&, const WeightView&, std::span<Weights* const>) const {
  return 0;
}

const std::vector<LossEntry>& loss_table() {
  static const std::vector<LossEntry> table = [] {
    std::vector<LossEntry> entries = {
        {"cross-entropy",
         "-log softmax(logits)[label], mean over the batch",
         "theory, section 9",
         {},
         "--loss cross-entropy",
         make_cross_entropy},
        {"margin-robust",
         "cross-entropy + lambda max over j != y of max(0, B^yj - f^yj) + mu (norms of the weights)",
         "after Tsai, Hsu, Yu, Chen, arXiv 2103.02200; theory, section 9",
         {margin_bound_param({"norm-product", "norm-vector", "interval", "linear"}),
          {.name = "form",
           .type = ParamType::choice,
           .initial = "hinge",
           .help = "robustness term: max(0, B - f), or the bound B alone",
           .choices = {"hinge", "bound"}},
          radius(),
          real("lambda", "0.01", "weight of the robustness term", 0, 1e6),
          real("mu", "0", "weight of the norms norm_{2,1} + norm_{1,inf} of every layer", 0, 1e6)},
         "--loss margin-robust --eps 0.001 --lambda 0.01 --mu 0.0001",
         make_margin_robust},
        {"certified",
         "k CE(f) + (1 - k) CE(worst logits that a bound allows), radius and k on a ramp",
         "theory, section 9; as Gowal et al., ICCV 2019, and Zhang et al., ICLR 2020, for perturbed inputs",
         {margin_bound_param({"interval", "linear"}), radius(),
          real("kappa", "0.5", "weight of the ordinary cross-entropy at the end of the ramp", 0, 1),
          real("ramp-start", "1", "epochs of ordinary training", 0, 1e9, "epochs"),
          real("ramp-length", "4", "epochs until radius and mixture have their final values", 0, 1e9,
               "epochs")},
         "--loss certified --bound interval --eps 0.001",
         make_certified},
        {"awp",
         "cross-entropy at weights moved against it, each layer in an l2 ball relative to its norm",
         "Wu, Xia, Wang, NeurIPS 2020, algorithm 1",
         {real("gamma", "0.005", "radius of a layer's ball, times the Frobenius norm of its weights", 0, 1e6),
          whole("steps", "1", "ascent steps a batch", 1, 1e6),
          real("step", "1", "length of an ascent step, times the radius", 1e-9, 1e6)},
         "--loss awp --gamma 0.005",
         make_awp},
        {"sam",
         "cross-entropy at w + rho g / ||g||_2, g its gradient at w",
         "Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021",
         {real("rho", "0.05", "l2 radius over all parameters together", 0, 1e6)},
         "--loss sam --rho 0.05",
         make_sam},
        {"randbet",
         "cross-entropy at stored weights, and at the same with random bit errors: mean of both gradients",
         "Stutz, Chandramoorthy, Hein, Schiele, MLSys 2021, algorithm 1",
         {{.name = "format",
           .type = ParamType::text,
           .initial = "int8",
           .help = "integer or fixed-point format of the stored weights (temblor list formats)"},
          real("ber", "0.01", "probability that a stored bit is inverted", 0, 1),
          real("start-loss", "1.75", "bit errors begin once a batch's mean loss is below this", 0, 1e9)},
         "--loss randbet --ber 0.01 --format int8 --clip-weights 0.3",
         make_randbet},
    };
    for (const auto& entry : entries) {
      ensure(!entry.name.empty() && !entry.help.empty() && !entry.source.empty() && !entry.example.empty() &&
                 entry.make,
             "loss table entry is complete: " + entry.name);
    }
    return entries;
  }();
  return table;
}

const LossEntry& find_loss(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : loss_table()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  unknown_name("loss", name, names);
}

}  // namespace temblor
