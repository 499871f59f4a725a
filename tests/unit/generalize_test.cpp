#include <array>
#include <cmath>
#include <limits>

#include <Eigen/SVD>
#include <catch2/catch.hpp>
#include <support/graphs.hpp>
#include <support/networks.hpp>
#include <support/tiny.hpp>

#include <temblor/generalize/margin_bound.hpp>
#include <temblor/generalize/measured.hpp>
#include <temblor/generalize/pac_bayes.hpp>
#include <temblor/network/architecture.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// A chain of dense layers with these weights.
Network chain(const std::vector<Matrix>& weights) {
  std::string arch = std::to_string(weights.front().cols());
  for (const auto& w : weights) arch += "-" + std::to_string(w.rows());
  Network network = multilayer_perceptron(arch, "relu", false, {}, {{weights.front().cols()}});
  for (std::size_t m = 0; m < weights.size(); ++m)
    network = network.with(static_cast<int>(m), {weights[m], {}});
  return network;
}

Matrix matrix(Index rows, Index cols, const std::vector<float>& values) {
  Matrix m(rows, cols);
  for (Index i = 0; i < m.size(); ++i) m.data()[i] = values[static_cast<std::size_t>(i)];
  return m;
}

Matrix random_matrix(Index rows, Index cols, Stream& stream) {
  Matrix m(rows, cols);
  for (Index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(stream.normal());
  return m;
}

LayerNorms norms_of(double spectral, double two_one, double row, double column, Index inputs, Index outputs) {
  return {"", inputs, outputs, spectral, two_one, row, column, outputs};
}

DataNorms images_of(Index count, double frobenius) {
  return {count, 1, frobenius, VectorD::Ones(count)};
}

}  // namespace

TEST_CASE("norms of a layer: by hand") {
  const auto norms =
      layer_norms(chain({matrix(3, 2, {3, 0, 0, -4, 0, 0}), matrix(2, 3, {1, -2, 2, 0, 0, 5})}));
  REQUIRE(norms.size() == 2);
  CHECK(norms[0].spectral == Approx(4).epsilon(1e-12));
  CHECK(norms[0].two_one == Approx(7).epsilon(1e-12));
  CHECK(norms[0].row == Approx(4).epsilon(1e-12));
  CHECK(norms[0].column == Approx(4).epsilon(1e-12));
  CHECK(norms[0].inputs == 2);
  CHECK(norms[0].outputs == 3);
  CHECK(norms[1].two_one == Approx(8).epsilon(1e-12));
  CHECK(norms[1].row == Approx(5).epsilon(1e-12));
  CHECK(norms[1].column == Approx(7).epsilon(1e-12));
  // singular values of [[1,-2,2],[0,0,5]]: W W^T = [[9,10],[10,25]], eigenvalues 17 +- sqrt(164)
  CHECK(norms[1].spectral == Approx(std::sqrt(17 + std::sqrt(164.0))).epsilon(1e-12));
  for (const auto& layer : norms) CHECK(layer.spectral >= 3.99);
}

TEST_CASE("the limit on the largest singular value holds, and is near") {
  Stream stream(3, {});
  for (const auto& [rows, cols] :
       std::vector<std::pair<Index, Index>>{{1, 1}, {1, 7}, {7, 1}, {5, 5}, {10, 32}, {128, 300}, {64, 3}}) {
    Matrix w = random_matrix(rows, cols, stream);
    const double truth = Eigen::JacobiSVD<Eigen::MatrixXd>(w.cast<double>()).singularValues()(0);
    INFO(rows << " x " << cols);
    CHECK(spectral_limit(w) >= truth * (1 - 1e-13));
    CHECK(spectral_limit(w) <= truth * (1 + 1e-9));
    // a rank-1 matrix of small integers: the truth is known without rounding
    Matrix outer(rows, cols);
    double left = 0, right = 0;
    for (Index i = 0; i < rows; ++i) left += static_cast<double>((i % 3 + 1) * (i % 3 + 1));
    for (Index j = 0; j < cols; ++j) right += static_cast<double>((j % 5 + 1) * (j % 5 + 1));
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) outer(i, j) = static_cast<float>((i % 3 + 1) * (j % 5 + 1));
    }
    const double limit = spectral_limit(outer);
    CHECK(static_cast<long double>(limit) * static_cast<long double>(limit) >=
          static_cast<long double>(left * right));
    CHECK(limit <= std::sqrt(left * right) * (1 + 1e-9));
  }
  CHECK(spectral_limit(Matrix::Zero(4, 3)) == 0);
}

TEST_CASE("norms of images: by hand") {
  Network network = chain({matrix(2, 3, {1, 0, 0, 0, 1, 0})});
  Dataset data = random_dataset(network, 2, 1);
  data.images = matrix(2, 3, {1, -2, 2, 0, 4, 0});
  const auto norms = data_norms(data);
  CHECK(norms.images == 2);
  CHECK(norms.l1 == Approx(5).epsilon(1e-12));
  CHECK(norms.l1 >= 5);
  CHECK(norms.frobenius == Approx(5).epsilon(1e-12));
  CHECK(norms.image_l1(1) == Approx(4).epsilon(1e-12));
}

TEST_CASE("slope of the drop: by hand, unrolled, monotone, 0 at 0") {
  const std::vector<LayerNorms> one{norms_of(1, 1, 5, 7, 4, 3)};
  CHECK(drop_slope(one, {0.1}) == Approx(0.2).epsilon(1e-12));
  // two layers: 2 c_2 eps_1 + 2 eps_2 (c'_1 + n_1 eps_1) = 2*5*0.1 + 2*0.2*(7 + 3*0.1)
  const std::vector<LayerNorms> two{norms_of(1, 1, 4, 7, 4, 3), norms_of(1, 1, 5, 2, 3, 2)};
  CHECK(drop_slope(two, {0.1, 0.2}) == Approx(1 + 0.4 * 7.3).epsilon(1e-12));
  CHECK(drop_slope(two, {0.1, 0}) == Approx(1).epsilon(1e-12));
  CHECK(drop_slope(two, {0, 0}) == 0);

  // the sum over layers of theory, section 10, with norms drawn at random
  Stream stream(9, {});
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::vector<LayerNorms> norms;
    std::vector<double> eps;
    for (int m = 0; m < 4; ++m) {
      norms.push_back(norms_of(1, 1, 3 * stream.uniform(), 3 * stream.uniform(), 5, 2 + m));
      eps.push_back(stream.uniform());
    }
    std::vector<long double> zeta{1};
    for (std::size_t k = 0; k < 4; ++k)
      zeta.push_back((norms[k].column + static_cast<double>(norms[k].outputs) * eps[k]) * zeta.back());
    long double sum = 2 * static_cast<long double>(eps[3]) * zeta[3];
    for (std::size_t k = 0; k < 3; ++k) {
      long double term = 2 * norms[3].row * static_cast<long double>(eps[k]) * zeta[k];
      for (std::size_t m = k + 1; m < 3; ++m) term *= norms[m].row;
      sum += term;
    }
    const double slope = drop_slope(norms, eps);
    CHECK(slope == Approx(static_cast<double>(sum)).epsilon(1e-11));
    CHECK(static_cast<long double>(slope) >= sum);
    for (auto& e : eps) {
      auto more = eps;
      more[static_cast<std::size_t>(&e - eps.data())] += 0.01;
      CHECK(drop_slope(norms, more) > slope);
    }
  }
}

TEST_CASE("complexity term: by hand, against the formula with quotients, layers of zeros") {
  const double n = 1000;
  const auto data = images_of(1000, 20);
  // one layer: s (b/s)^{2/3 * 3/2} = b
  const std::vector<LayerNorms> one{norms_of(2, 3, 1, 1, 8, 5)};
  const double front = 72 * std::log(n) / (0.5 * n) * 20;
  CHECK(complexity_term(one, data, 0.5) == Approx(front * std::sqrt(std::log(128.0)) * 3).epsilon(1e-12));
  const std::vector<LayerNorms> three{norms_of(2, 3, 1, 1, 8, 5), norms_of(1.5, 4, 1, 1, 5, 9),
                                      norms_of(0.5, 0.75, 1, 1, 9, 2)};
  double sum = 0, product = 1;
  for (const auto& layer : three) {
    product *= layer.spectral;
    sum += std::pow(layer.two_one / layer.spectral, 2.0 / 3);
  }
  const double expected = front * std::sqrt(std::log(2.0 * 81)) * product * std::pow(sum, 1.5);
  CHECK(complexity_term(three, data, 0.5) == Approx(expected).epsilon(1e-12));
  CHECK(complexity_term(three, data, 1) == Approx(expected / 2).epsilon(1e-12));
  CHECK(complexity_term(three, images_of(2000, 20), 0.5) < expected);
  CHECK(complexity_term(three, images_of(1000, 40), 0.5) == Approx(2 * expected).epsilon(1e-12));
  auto zero = three;
  zero[1].spectral = zero[1].two_one = 0;
  CHECK(complexity_term(zero, data, 0.5) == 0);
}

TEST_CASE("the grid rounds up by less than a step, keeps 0, and its shares add to 1") {
  const auto cost_of = [](double value) { return grid_class({}, value).cost; };
  for (const double x : {1e-9, 0.3, 1.0, 1.0001, 2.0, 253.2, 1e12}) {
    const auto grid = grid_class({}, x);
    CHECK(grid.slope >= x);
    CHECK(grid.slope <= x * std::exp2(1.0 / 16) * (1 + 1e-12));
  }
  CHECK(grid_class({}, 0).slope == 0);
  CHECK(std::isinf(grid_class({}, std::numeric_limits<double>::infinity()).slope));
  double shares = std::exp(-cost_of(0));
  CHECK(shares == Approx(0.25));
  for (int k = -400; k <= 400; ++k) shares += std::exp(-cost_of(0.999 * std::exp2(k / 16.0)));
  CHECK(shares < 1);
  CHECK(shares == Approx(1 - 1.0 / 402).epsilon(1e-9));  // the tail of both sides beyond 400
  const auto grid = grid_class({norms_of(2, 3, 1, 1, 8, 5)}, 0.1);
  CHECK(grid.norms[0].spectral >= 2);
  CHECK(grid.norms[0].two_one >= 3);
  CHECK(grid.norms[0].row == 1);
  CHECK(grid.cost == Approx(cost_of(2) + cost_of(3) + cost_of(0.1)));
}

TEST_CASE("margin bound: every term by hand") {
  const VectorD margins = (VectorD(4) << 3, 1.5, -1, std::nan("")).finished();
  const std::vector<LayerNorms> one{norms_of(2, 3, 1, 1, 8, 5)};
  auto data = images_of(4, 20);
  const auto bound = margin_bound(margins, VectorD::Constant(4, 0.5), one, data, 1, 0.05, 0);
  CHECK(bound.first == 0.75);  // 1.5 = 1 + 0.5 is not above
  CHECK(bound.discretised == 1);
  CHECK(bound.complexity == complexity_term(one, data, 1));
  CHECK(bound.confidence == Approx(3 * std::sqrt(std::log(40.0) / 8)).epsilon(1e-12));
  CHECK(bound.value() == bound.first + bound.discretised + bound.complexity + bound.confidence);
  CHECK(bound.vacuous());
  const auto dearer = margin_bound(margins, VectorD::Constant(4, 0.5), one, data, 1, 0.05, 7);
  CHECK(dearer.confidence == Approx(3 * std::sqrt((std::log(40.0) + 7) / 8)).epsilon(1e-12));
  CHECK(share_within(margins, VectorD::Zero(4), 1) == 0.5);
  CHECK(share_within(margins, VectorD::Zero(4), 10) == 1);
  CHECK(MarginBound{0.1, 0, 0.2, 0.3}.vacuous() == false);
  CHECK(MarginBound{0.1, 0, std::nan(""), 0.3}.vacuous());

  const MatrixD pair = (MatrixD(2, 3) << 0, 2, 5, 4, 0, 3).finished();
  const MatrixD drop = (MatrixD(2, 3) << 0, 1, 4.5, 0.5, 0, 0.25).finished();
  CHECK(least_margins(pair, MatrixD{}, {0, 1})(0) == Approx(2));
  CHECK(least_margins(pair, drop, {0, 1})(0) == Approx(0.5));
  CHECK(least_margins(pair, drop, {0, 1})(1) == Approx(2.75));
}

TEST_CASE("which networks the margin bound covers") {
  CHECK(refuses_margin_bound(random_network("4-3-2", 1, false)).empty());
  CHECK(refuses_margin_bound(multilayer_perceptron("4-3-2", "tanh", false, {}, {{4}})).empty());
  CHECK(refuses_margin_bound(multilayer_perceptron("4-3-2", "relu", true, {}, {{4}})).empty());  // biases 0
  CHECK_THAT(refuses_margin_bound(random_network("4-3-2", 1, true)), Catch::Contains("biases"));
  CHECK_THAT(refuses_margin_bound(multilayer_perceptron("4-3-2", "sigmoid", false, {}, {{4}})),
             Catch::Contains("sigmoid"));
  const Shape pictures{{1, 12, 12}};
  CHECK(refuses_margin_bound(make_architecture("lenet5", {pictures, 3, "relu", false})).empty());
  const auto trained = initialise(make_architecture("lenet5", {pictures, 3}), 1);
  Weights biased = trained.weights(1);
  biased.bias(2) = 1;
  CHECK_THAT(refuses_margin_bound(trained.with(1, biased)), Catch::Contains("'conv2' (conv2d) has biases"));
  CHECK_THAT(refuses_margin_bound(make_architecture("resnet8", {pictures, 3, "relu", false})),
             Catch::Contains("do not form a chain"));
  Stream stream(22, {});
  GraphBuilder build(pictures, stream);
  build.layer("max-pool", {{"kernel", {3, 3}}, {"stride", {2, 2}}});
  CHECK_THAT(refuses_margin_bound(build.network()), Catch::Contains("(max-pool) has windows that overlap"));
}

TEST_CASE("binary KL and its inverse") {
  CHECK(binary_kl(0.5, 0.25) == Approx(0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3)));
  CHECK(binary_kl(0, 0.3) == Approx(-std::log(0.7)));
  CHECK(std::isinf(binary_kl(0.5, 1)));
  CHECK(kl_inverse(0, 0.7) == Approx(1 - std::exp(-0.7)));
  CHECK(kl_inverse(1, 0) == 1);
  for (const double q : {0.0, 0.05, 0.5, 0.99}) {
    CHECK(kl_inverse(q, 0) == Approx(q).margin(1e-11));
    double before = q;
    for (const double limit : {1e-4, 1e-2, 1.0, 5.0}) {
      const double p = kl_inverse(q, limit);
      CHECK((p > before || p == 1));
      if (p < 1) CHECK(binary_kl(q, p) == Approx(limit).epsilon(1e-6));
      before = p;
    }
  }
}

TEST_CASE("PAC-Bayes: divergence, draws and bound") {
  const Network network = random_network("5-6-3", 2, false);
  Dataset data = random_dataset(network, 400, 3);
  // labels are the network's own predictions: no training error
  for (Index n = 0; n < data.size(); ++n) {
    Index best = 0;
    logits(network, network.view(), data.images.row(n)).row(0).maxCoeff(&best);
    data.labels[static_cast<std::size_t>(n)] = static_cast<std::int32_t>(best);
  }
  const Stream stream(1, {});
  const PacBayesPlan plan{{1e-6, 0.5}, 50, 64, 0.05};
  const auto rows = pac_bayes(network, nullptr, data, plan, stream);
  double squares = 0;
  for (int m = 0; m < 2; ++m) squares += network.weights(m).weight.cast<double>().squaredNorm();
  REQUIRE(rows.size() == 2);
  CHECK(rows[1].divergence == Approx(squares / (2 * 0.25)).epsilon(1e-6));
  CHECK(rows[0].sampled < 0.01);
  CHECK(rows[0].error == Approx(kl_inverse(rows[0].sampled, std::log(80.0) / 50)));
  CHECK(rows[0].vacuous());  // far from the prior
  CHECK(rows[1].sampled > 0.05);
  CHECK(rows[1].bound ==
        Approx(kl_inverse(rows[1].error, (rows[1].divergence + std::log(8 * 20 / 0.05)) / 400)));
  // a prior that happens to be the network itself costs the logarithm alone
  const auto same = pac_bayes(network, &network, data, plan, stream);
  CHECK(same[0].divergence == 0);
  CHECK(same[0].bound < 0.2);
  CHECK(same[0].bound == Approx(kl_inverse(same[0].error, std::log(8 * 20 / 0.05) / 400)));
}

TEST_CASE("perturbations: the worst found raises the loss more than chance, random ones stay in the set") {
  Stream stream(4, {});
  TinyOptions options;
  options.sizes = {4, 6, 3};
  options.images = 64;
  const auto [network, data] = tiny(stream, options);
  const auto set = linf_set(network, 0.05, {0, 1}, false);
  const auto natural = performance(network, network.view(), data);
  CHECK(natural.images == 64);
  const auto delta = worst_for_all(network, data, set, {30, 1000}, Stream(1, {}));
  const auto worst = performance(network, delta, data);
  const auto random = random_losses(network, data, set, 20, Stream(1, {0, 1, 0}));
  REQUIRE(random.size() == 20);
  for (const double loss : random) {
    CHECK(loss < worst.loss);
    CHECK(loss != natural.loss);
  }
  const auto each = worst_for_each(network, data, set, {30, 1000}, Stream(1, {0, 2, 0}));
  CHECK(each.wrong >= worst.wrong);
  CHECK(worst.wrong >= natural.wrong);
  const auto still = linf_set(network, 0, {0, 1}, false);
  for (const double loss : random_losses(network, data, still, 2, Stream(1, {}))) CHECK(loss == natural.loss);
  CHECK(worst_for_each(network, data, still, {5, 1000}, Stream(1, {})).wrong == natural.wrong);
}

TEST_CASE("norms of a convolution are those of its equivalent matrix") {
  Stream stream(21, {});
  const std::vector<LayerOptions> all = {{{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}},
                                         {{"kernel", {2, 2}}, {"stride", {2, 2}}},
                                         {{"kernel", {3, 2}},
                                          {"stride", {2, 1}},
                                          {"padding", {1, 0, 2, 1}},
                                          {"dilation", {1, 2}},
                                          {"groups", {2}}},
                                         {{"kernel", {1, 1}}},
                                         {{"kernel", {5, 6}}}};
  for (const auto& options : all) {
    GraphBuilder build({{2, 5, 6}}, stream);
    build.convolution(4, options);
    const Network& network = build.network();
    Weights weights = network.weights(0);
    weights.bias.setZero();
    // Images with a single 1 show its columns.
    Matrix columns;
    const Matrix units = Matrix::Identity(60, 60);
    network.nodes()[0].layer->forward(std::array{&units}, &weights, columns);
    const Eigen::MatrixXd w = columns.transpose().cast<double>();
    const LayerNorms norms = layer_norms(network).front();
    INFO(options.at("kernel")[0] << " x " << options.at("kernel")[1]);
    CHECK(norms.inputs == 60);
    CHECK(norms.outputs == w.rows());
    const auto same = [](double limit, double truth) {
      return limit >= truth && limit <= truth * (1 + 1e-9);
    };
    CHECK(same(norms.row, w.cwiseAbs().rowwise().sum().maxCoeff()));
    CHECK(same(norms.column, w.cwiseAbs().colwise().sum().maxCoeff()));
    CHECK(same(norms.two_one, w.rowwise().norm().sum()));
    CHECK(static_cast<double>(norms.readers) == (w.array() != 0).cast<double>().colwise().sum().maxCoeff());
    const double truth = Eigen::JacobiSVD<Eigen::MatrixXd>(w).singularValues()(0);
    CHECK(norms.spectral >= truth * (1 - 1e-13));
    CHECK(norms.spectral <= 2.5 * truth);
  }
  // A kernel that sees all of the image is a dense layer.
  GraphBuilder whole({{2, 3, 3}}, stream);
  whole.convolution(4, {{"kernel", {3, 3}}});
  const LayerNorms norms = layer_norms(whole.network()).front();
  CHECK(norms.spectral <= spectral_limit(whole.network().weights(0).weight) * (1 + 1e-12));
  CHECK(norms.readers == 4);
}
