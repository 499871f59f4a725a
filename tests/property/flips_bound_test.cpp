#include "support/tiny.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

#include <temblor/bounds/bound.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// A tiny network in a number format, and every position of a bit.
struct Stored {
  Tiny tiny;
  StoredNetwork stored;
  struct Bit {
    std::size_t layer, index;
    int bit;
  };
  std::vector<Bit> bits;

  Stored(const Tiny& net, const std::string& format, const LayerSet& layers)
      : tiny(net), stored(store(net.network, find_format(format))) {
    tiny.network = stored.network;
    for (const int layer : layers) {
      const auto m = static_cast<std::size_t>(layer);
      for (std::size_t i = 0; i < stored.codes[m].codes.size(); ++i) {
        for (int b = 0; b < stored.format->bits; ++b) bits.push_back({m, i, b});
      }
    }
  }
  ThreatSet set(std::int64_t flips, const LayerSet& layers) const {
    const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << stored.format->bits) - 1);
    return flips_set(tiny.network, "test", flips, layers, {stored.codes, mask});
  }
  /// Pair drops of one image with these bits inverted.
  std::vector<double> drops(const std::vector<Bit>& flipped, Index n) const {
    auto codes = stored.codes;
    for (const auto& bit : flipped) codes[bit.layer].codes[bit.index] ^= std::uint32_t{1} << bit.bit;
    auto faulty = reference(tiny.network);
    for (const auto& bit : flipped) {
      const auto& encoded = codes[bit.layer];
      faulty[bit.layer].weight[bit.index / encoded.cols][bit.index % encoded.cols] =
          encoded.decode(bit.index);
    }
    const auto image = image_of(tiny.data, n);
    const auto before = reference_logits(reference(tiny.network), image, "relu");
    const auto after = reference_logits(faulty, image, "relu");
    const auto y = static_cast<std::size_t>(tiny.data.labels[static_cast<std::size_t>(n)]);
    std::vector<double> drops;
    for (std::size_t j = 0; j < before.size(); ++j) {
      drops.push_back(static_cast<double>((before[y] - before[j]) - (after[y] - after[j])));
    }
    return drops;
  }
};

/// Largest drops over all choices of at most `flips` (1 or 2) bits, [images x classes].
MatrixD worst(const Stored& net, int flips) {
  MatrixD most = MatrixD::Zero(net.tiny.data.size(), net.tiny.network.classes());
  for (Index n = 0; n < most.rows(); ++n) {
    const auto take = [&](const std::vector<Stored::Bit>& flipped) {
      const auto drops = net.drops(flipped, n);
      for (Index j = 0; j < most.cols(); ++j)
        most(n, j) = std::max(most(n, j), drops[static_cast<std::size_t>(j)]);
    };
    for (std::size_t a = 0; a < net.bits.size(); ++a) {
      take({net.bits[a]});
      for (std::size_t b = a + 1; flips > 1 && b < net.bits.size(); ++b) take({net.bits[a], net.bits[b]});
    }
  }
  return most;
}

Weights weights_below_one(Weights weights) {
  weights.weight /= 2 * weights.weight.cwiseAbs().maxCoeff();
  return weights;
}

}  // namespace

TEST_CASE("certificates against flips hold for every choice of one or two bits") {
  int covered = 0;
  double closest = 0;
  for (std::uint32_t t = 0; t < 40; ++t) {
    Stream stream(51, {1, t, 0});
    const int flips = t % 4 == 3 ? 2 : 1;
    const std::vector<std::string> formats{"int8", "int4", "int4-channel", "int8-affine", "fp8-e4m3", "fp16"};
    const auto& format = formats[t % formats.size()];
    const LayerSet layers = t % 3 == 0 ? LayerSet{0, 1, 2} : t % 3 == 1 ? LayerSet{1} : LayerSet{0, 2};
    const Stored net(tiny(stream, {{3, 3, 2, 3}, "relu", t % 2 == 0, t % 5 == 0, 2}), format, layers);
    const MatrixD found = worst(net, flips);
    const auto set = net.set(flips, layers);
    for (const auto& entry : bound_table()) {
      if (!entry.refuses(net.tiny.network, set).empty()) continue;
      ++covered;
      const auto value =
          entry.compute({net.tiny.network, net.tiny.data, set, false, checked_params(entry, {})}).value;
      INFO(entry.name << ", " << format << ", " << set.key);
      REQUIRE((found.array() <= value.array()).all());
      closest = std::max(closest, found.maxCoeff() / value.maxCoeff());
    }
  }
  CHECK(covered > 80);
  CHECK(closest > 0.9);
}

TEST_CASE("one flip in the last layer alone: the certificate equals the enumeration") {
  for (std::uint32_t t = 0; t < 20; ++t) {
    Stream stream(52, {1, t, 0});
    const Stored net(tiny(stream, {{4, 3, 3}, "relu", true, false, 3}), t % 2 == 0 ? "int8" : "int4", {1});
    const MatrixD found = worst(net, 1);
    const auto value = find_bound("linear").compute({net.tiny.network, net.tiny.data, net.set(1, {1})}).value;
    CHECK((found.array() <= value.array()).all());
    CHECK((value - found).maxCoeff() <= 1e-4 * (1 + found.maxCoeff()));
  }
}

TEST_CASE("more flips are never a tighter certificate, none is 0, and float exponents are refused by name") {
  Stream stream(53, {});
  const LayerSet all{0, 1, 2};
  const Stored net(tiny(stream, {{5, 6, 5, 3}, "relu", false, false, 6}), "int8-channel", all);
  double last = 0;
  for (const std::int64_t flips : {0, 1, 2, 5, 40}) {
    const auto value =
        find_bound("linear").compute({net.tiny.network, net.tiny.data, net.set(flips, all)}).value;
    if (flips == 0) CHECK(value.maxCoeff() <= 1e-9);
    CHECK(value.sum() >= last);
    last = value.sum();
  }
  auto large = net.tiny;
  Weights weights = large.network.weights(1);
  weights.weight(0, 0) = 1.5F;  // one flip of its exponent makes it infinite
  large.network = large.network.with(1, weights);
  const Stored floats(large, "fp32", all);
  const auto why = find_bound("linear").refuses(floats.tiny.network, floats.set(1, all));
  CHECK(why.find("infinite") != std::string::npos);
  CHECK(why.find("fp32") != std::string::npos);
  // Finite after any flip, but of the order of 1e38.
  large.network = large.network.with(0, weights_below_one(large.network.weights(0)));
  large.network = large.network.with(1, weights_below_one(weights));
  large.network = large.network.with(2, weights_below_one(large.network.weights(2)));
  const Stored small(large, "fp32", all);
  CHECK(find_bound("interval").refuses(small.tiny.network, small.set(1, all)).find("overflow") !=
        std::string::npos);
}

TEST_CASE("a rounded network is within the set of its rounding, and mixed sets add up") {
  for (std::uint32_t t = 0; t < 20; ++t) {
    Stream stream(54, {1, t, 0});
    const auto net = tiny(stream, {{6, 5, 4, 3}, "relu", true, t % 2 == 0, 5});
    const LayerSet all{0, 1, 2};
    const auto& format = find_format(t % 2 == 0 ? "int4" : "int8");
    const auto rounding = with_rounding(linf_set(net.network, 0, all, false), net.network, format);
    const auto mixed = with_rounding(linf_set(net.network, 0.01, all, false), net.network, format);
    const auto rounded = reference(store(net.network, format).network);
    const auto& linear = find_bound("linear");
    REQUIRE(linear.refuses(net.network, rounding).empty());
    const auto value = linear.compute({net.network, net.data, rounding}).value;
    const auto more = linear.compute({net.network, net.data, mixed}).value;
    CHECK((more.array() >= value.array()).all());
    for (Index n = 0; n < net.data.size(); ++n) {
      const auto image = image_of(net.data, n);
      const auto before = reference_logits(reference(net.network), image, "relu");
      const auto after = reference_logits(rounded, image, "relu");
      const auto y = static_cast<std::size_t>(net.data.labels[static_cast<std::size_t>(n)]);
      for (std::size_t j = 0; j < before.size(); ++j) {
        const auto drop = static_cast<double>((before[y] - before[j]) - (after[y] - after[j]));
        REQUIRE(drop <= value(n, static_cast<Index>(j)));
      }
    }
  }
}
