#pragma once

#include <cstdint>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/random/stream.hpp>

/// Dense relu chains whose weights and images are small multiples of powers of two, so that every sum of a
/// forward pass is a whole number of 128 bits: the truth to the last bit, without any rounding.
namespace temblor::testing {

__extension__ using Whole = __int128;

inline constexpr int weight_bits = 20;  ///< weights are multiples of 2^-20 below 1 in magnitude
inline constexpr int image_bits = 8;    ///< pixels are multiples of 2^-8 in [0, 1)

struct WholeLayer {
  Index outputs, inputs;
  std::vector<std::int64_t> weight;  ///< [outputs x inputs], times 2^weight_bits
};
using WholeNetwork = std::vector<WholeLayer>;

/// Random weights of that grid, bias-free; `positive`: hidden layers have weights of at least `least` only.
Network grid_network(Stream& stream, const std::vector<int>& sizes, bool positive, double least);
/// Random images of that grid, labels random.
Dataset grid_images(Stream& stream, const Network& network, Index images);

WholeNetwork whole(const Network& network);
std::vector<std::int64_t> whole_image(const Dataset& data, Index n);
/// Fraction bits of the logits.
int logit_bits(const WholeNetwork& network);
/// Activations of the last hidden layer, with logit_bits - weight_bits fraction bits.
std::vector<Whole> last_hidden(const WholeNetwork& network, const std::vector<std::int64_t>& image);
std::vector<Whole> whole_logits(const WholeNetwork& network, const std::vector<std::int64_t>& image);

/// sign of value - whole 2^-bits, exactly. abs(value) < 2^20, and 0 or above 2^-40; bits in [93, 100].
int compare(double value, Whole whole, int bits);

}  // namespace temblor::testing
