#include "convert.hpp"

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor::keras {

Value Converter::affine(int call, const std::string& kind, const LayerOptions& options, Weights weights,
                        const Value& from) {
  once(call);
  const std::string activation = settings(call).activation();
  const int next = reader(call);
  const bool folds =
      !keep_norms_ && activation == "linear" && next >= 0 && layer(next).kind == "BatchNormalization";
  if (folds) {
    const Index channels = weights.weight.rows();
    const auto [gain, shift] = gain_and_shift(next, channels, kind == "dense" ? 1 : 3);
    const VectorD bias =
        weights.bias.size() != 0 ? VectorD(weights.bias.cast<double>()) : VectorD::Zero(channels);
    weights.weight = (gain.asDiagonal() * weights.weight.cast<double>()).cast<float>();
    weights.bias = (gain.cwiseProduct(bias) + shift).cast<float>();
    notes_.push_back("layer '" + layer(next).name + "' (BatchNormalization) is folded into '" +
                     layer(call).name + "'");
  }
  const int node = builder_.add(layer(call), "", kind, options, std::move(weights), {from.node});
  Value value = kind == "dense" ? Value{node, {builder_.shape(node).size()}, {}} : builder_.of_image(node);
  if (folds) {
    done_[static_cast<std::size_t>(next)] = true;
    values_[static_cast<std::size_t>(next)] = value;
  }
  return activate(call, activation, std::move(value));
}

std::array<VectorD, 2> Converter::gain_and_shift(int call, Index channels, std::size_t rank) {
  once(call);
  const Settings& set = settings(call);
  const auto axes = set.reals("axis", -1);
  const auto last = static_cast<double>(rank);  // the batch counts
  const double axis = axes[0] < 0 ? axes[0] + last + 1 : axes[0];
  if (axes.size() != 1 || axis != (rank == 3 && !builder_.channels_last() ? 1 : last)) {
    set.refuse("its axis is not that of the channels", "normalise channels");
  }
  const auto values = [&](const std::string& parameter) -> VectorD {
    const Tensor tensor = weights_.read(layer(call), parameter, {static_cast<std::uint64_t>(channels)});
    return Eigen::Map<const Vector>(tensor.values.data(), channels).cast<double>();
  };
  const VectorD spread = values("moving_variance").array() + set.real("epsilon", 1e-3);
  if (!(spread.array() > 0).all()) {
    set.refuse("its moving_variance and epsilon are not above 0 together", "repair or retrain the model");
  }
  const VectorD ones = VectorD::Ones(channels);
  const VectorD gain =
      (set.flag("scale", true) ? values("gamma") : ones).cwiseQuotient(VectorD(spread.cwiseSqrt()));
  const VectorD beta = set.flag("center", true) ? values("beta") : VectorD(VectorD::Zero(channels));
  return {gain, beta - gain.cwiseProduct(values("moving_mean"))};
}

Value Converter::normalisation(int call) {
  Value value = input(call);
  const std::size_t rank = value.dims.size();
  if (rank != 1 && rank != 3) settings(call).refuse("its input is no image and no vector", "reshape it");
  if (rank == 3)
    value = builder_.image(layer(call), std::move(value));
  else
    value = builder_.flat(layer(call), std::move(value));
  const Index channels = builder_.shape(value.node).dims[0];
  const auto [gain, shift] = gain_and_shift(call, channels, rank);
  Weights weights{Matrix(channels, 1), Vector(channels)};
  for (Index i = 0; i < channels; ++i) {
    const Index at = rank == 3 ? i : keras_index(value, i);
    weights.weight(i, 0) = static_cast<float>(gain[at]);
    weights.bias[i] = static_cast<float>(shift[at]);
  }
  value.node = builder_.add(layer(call), "", "scale", {}, std::move(weights), {value.node});
  return value;
}

}  // namespace temblor::keras
