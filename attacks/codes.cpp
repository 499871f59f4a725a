#include "codes.hpp"

#include <bit>

#include <temblor/base/error.hpp>

namespace temblor {

const std::vector<Encoded>* stored_codes(const AttackContext& context, std::vector<Encoded>& own) {
  if (context.stored != nullptr) {
    ensure(context.stored->format == &context.format, "the stored codes are of the point's format");
    return &context.stored->codes;
  }
  for (int layer = 0; layer < context.network.layers(); ++layer) {
    const auto& weights = context.network.weights(layer);
    own.push_back(encode(weights, context.format));
    for (std::size_t i = 0; i < own.back().codes.size(); ++i) {
      ensure(std::bit_cast<std::uint32_t>(own.back().decode(i)) ==
                 std::bit_cast<std::uint32_t>(weights.weight.data()[i]),
             "the network's weights are decoded codes of format " + context.format.name);
    }
  }
  return &own;
}

}  // namespace temblor
