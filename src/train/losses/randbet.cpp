#include "../loss_table.hpp"
#include "../moved_weights.hpp"
#include "cross_entropy.hpp"

#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/train/batch_norm.hpp>

namespace temblor {
namespace {

/// Why bits of the format's codes cannot be inverted in training; "" when they can.
std::string refuses_format(const Format& format) {
  const std::string why = "some of its codes are no finite number, which no training survives";
  if (format.bits > 23) return why;
  const float one = 1;
  const Encoded encoded = format.encode(format, {&one, 1}, 1, 1);
  for (std::uint32_t code = 0; code < std::uint32_t{1} << format.bits; ++code) {
    if (!std::isfinite(format.decode(encoded, code, 0))) return why;
  }
  return {};
}

/// Random bit error training (Stutz, Chandramoorthy, Hein, Schiele, MLSys 2021, algorithm 1): the weights of
/// each batch are stored in a format, every stored bit is inverted with probability p, and the mean of the
/// gradients at the clean and at the faulted decoded weights moves the float weights (straight-through). Bit
/// errors begin once a batch's mean loss at the clean codes is below `start-loss`. Biases are not stored.
class Randbet final : public CrossEntropy {
 public:
  explicit Randbet(const Params& params)
      : format_(&find_format(params.text("format"))),
        p_(params.real("ber")),
        start_(params.real("start-loss")) {
    if (const auto why = refuses_format(*format_); !why.empty()) {
      usage_error("loss 'randbet', format '" + format_->name + "'", why,
                  "use an integer or fixed-point format");
    }
  }

  std::string refuses(const Network& network) const override {
    if (!normalises(network)) return {};
    return "with batch normalisation the weights that are stored in the end are not those that are trained "
           "(--batch-norm off trains without it)";
  }

  LossSum step(Batch& batch) override {
    MovedWeights stored(batch.weights());
    std::vector<Encoded> codes;
    for (std::size_t m = 0; m < batch.weights().size(); ++m) {
      // Not a number cannot be stored: the divergence shows in the loss at the weights themselves.
      if (!batch.weights()[m]->weight.allFinite()) return batch.evaluate(batch.weights());
      codes.push_back(encode(*batch.weights()[m], *format_));
      for (std::size_t i = 0; i < codes[m].codes.size(); ++i) stored[m].weight.data()[i] = codes[m].decode(i);
    }
    const LossSum sum = batch.evaluate(stored.view());
    if (p_ == 0 || !(sum.loss < start_ * static_cast<double>(batch.images()))) return sum;

    invert(codes, batch.stream(), stored);
    const std::vector<Weights> clean = batch.gradients();
    batch.evaluate(stored.view());
    for (std::size_t m = 0; m < clean.size(); ++m) {
      Weights& mean = batch.gradients()[m];
      mean.weight = 0.5F * (mean.weight + clean[m].weight);
      mean.bias = 0.5F * (mean.bias + clean[m].bias);
    }
    return sum;
  }

 private:
  /// Inverts each bit of all layers' codes with probability p; `stored` gets the new values.
  void invert(std::vector<Encoded>& codes, Stream stream, MovedWeights& stored) const {
    const auto bits = static_cast<std::uint64_t>(format_->bits);
    std::uint64_t total = 0;
    for (const Encoded& layer : codes) total += bits * layer.codes.size();
    std::size_t m = 0;
    std::uint64_t first = 0;  // of layer m
    for (const std::uint64_t hit : choose_each(stream, total, p_)) {
      while (hit - first >= bits * codes[m].codes.size()) first += bits * codes[m++].codes.size();
      const auto weight = static_cast<std::size_t>((hit - first) / bits);
      codes[m].codes[weight] ^= std::uint32_t{1} << ((hit - first) % bits);
      stored[m].weight.data()[weight] = codes[m].decode(weight);
    }
  }

  const Format* format_;
  double p_;
  double start_;
};

}  // namespace

std::unique_ptr<Loss> make_randbet(const Params& params) {
  return std::make_unique<Randbet>(params);
}

}  // namespace temblor
