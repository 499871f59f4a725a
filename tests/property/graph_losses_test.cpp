// margin-robust and certified on convolutional networks: bound=interval against the sound bound, gradients
// against differences, batch normalisation, what is refused, and what training does to the bound.

#include <cmath>

#include <catch2/catch.hpp>
#include <support/graphs.hpp>
#include <support/losses.hpp>

#include <temblor/bounds/bound.hpp>
#include <temblor/network/architecture.hpp>
#include <temblor/train/batch_norm.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

const LayerOptions same{{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}};

/// Small networks of what the loss covers, on 2x5x4 images.
const std::vector<std::string> names = {"pool",   "residual", "branches", "grouped",
                                        "pooled", "sigmoid",  "lone"};

Network covered(const std::string& name, Stream& stream) {
  if (name == "pool" || name == "residual") return small_graph(name, stream);
  GraphBuilder build({{2, 5, 4}}, stream);
  if (name == "branches") {
    const int left = build.convolution(2, {{"kernel", {1, 1}}});
    const int right = build.convolution(1, same, {-1});
    build.layer("concat", {}, {left, right});
    const int z = build.layer("relu");
    build.layer("slice", {{"start", {0, 0, 0}}, {"count", {3, 3, 2}}, {"step", {1, 2, 2}}}, {z});
    const int thin = build.layer("pad", {{"before", {0, 0, 0}}, {"after", {1, 0, 0}}});
    const int p =
        build.convolution(4, {{"kernel", {3, 3}}, {"stride", {2, 2}}, {"padding", {1, 1, 1, 1}}}, {z});
    build.layer("add", {}, {thin, p});
    build.layer("clip", {{"low", {0}}, {"high", {0.75}}});
  } else if (name == "grouped") {
    build.convolution(4, same);
    build.layer("relu");
    build.convolution(4, {{"kernel", {3, 2}},
                          {"stride", {2, 1}},
                          {"padding", {1, 0, 2, 1}},
                          {"dilation", {1, 2}},
                          {"groups", {2}}});
    build.layer("relu");
    build.convolution(4, {{"kernel", {2, 1}}, {"groups", {4}}});
    build.layer("relu");
    build.layer("average-pool", {{"kernel", {2, 2}}, {"stride", {1, 1}}});
  } else if (name == "pooled") {
    // What the first weights read is no image any more, but known.
    build.layer("average-pool", {{"kernel", {2, 2}}, {"stride", {1, 1}}});
    build.dense(6);
    build.layer("relu");
  } else if (name == "sigmoid") {
    build.convolution(3, same);
    build.layer("sigmoid");
    build.convolution(2, same);
    build.layer("sigmoid");
  } else {
    build.layer("max-pool", {{"kernel", {2, 2}}});
  }
  build.layer("flatten");
  build.dense(3);
  return build.network();
}

LayerSet all_layers(const Network& network) {
  LayerSet layers;
  for (int m = 0; m < network.layers(); ++m) layers.push_back(m);
  return layers;
}

MatrixD interval_of(const Network& network, const Dataset& data, double eps) {
  return find_bound("interval")
      .compute({network, data, linf_set(network, eps, all_layers(network), false)})
      .value;
}

std::map<std::string, std::string> by_interval(const std::string& form, double eps) {
  return {{"bound", "interval"}, {"form", form}, {"eps", std::to_string(eps)}, {"lambda", "1"}, {"mu", "0"}};
}

Trainer trainer_of(const Network& network, const Dataset& data, const std::string& loss,
                   const std::map<std::string, std::string>& given, bool batch_norm) {
  TrainingPlan plan;
  plan.epochs = 6;
  plan.rate = 0.005;
  plan.loss = loss;
  plan.loss_params = Params("loss", find_loss(loss).params, given);
  plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
  plan.batch_norm = batch_norm;
  return {network, data, plan};
}

/// Pictures of three kinds: where the bright corner is.
Dataset corners(Index images, std::uint64_t seed) {
  Stream stream(seed, {});
  Network shape({{1, 8, 8}}, {});
  Dataset data;
  data.shape = shape.input();
  data.classes = 3;
  data.images.resize(images, 64);
  for (Index n = 0; n < images; ++n) {
    const Index label = n % 3;
    data.labels.push_back(static_cast<std::int32_t>(label));
    data.index.push_back(n);
    for (Index i = 0; i < 64; ++i) {
      const bool lit = (i / 8 < 4) == (label != 1) && (i % 8 < 4) == (label != 2);
      data.images(n, i) = static_cast<float>(0.3 * stream.uniform() + (lit ? 0.5 : 0.0));
    }
  }
  return data;
}

}  // namespace

TEST_CASE("bound=interval in a loss is the sound interval bound of a graph, to rounding") {
  for (const auto& name : names) {
    for (std::uint32_t t = 0; t < 6; ++t) {
      Stream stream(91, {t, 0, 0});
      const Network network = covered(name, stream);
      const Dataset data = graph_images(network, 5, t % 2 == 0, stream);
      const double eps = t < 3 ? 0.003 : 0.1;
      const MatrixD value = interval_of(network, data, eps);
      const Matrix answers = logits(network, network.view(), data.images);
      for (const std::string form : {"hinge", "bound"}) {
        INFO(name << ", " << form << ", network " << t);
        const auto own =
            beyond_cross_entropy(*loss_of("margin-robust", by_interval(form, eps)), network, data);
        for (Index n = 0; n < data.size(); ++n) {
          const Index y = data.labels[static_cast<std::size_t>(n)];
          double expected = form == "hinge" ? 0 : -HUGE_VAL;
          for (Index j = 0; j < value.cols(); ++j) {
            const auto margin = static_cast<double>(answers(n, y)) - static_cast<double>(answers(n, j));
            if (j != y) expected = std::max(expected, value(n, j) - (form == "hinge" ? margin : 0));
          }
          CHECK(own[static_cast<std::size_t>(n)] == Approx(expected).epsilon(2e-5).margin(5e-6));
        }
      }
    }
  }
}

TEST_CASE("gradients of margin-robust and certified on graphs") {
  Index bends = 0;
  Index values = 0;
  for (const auto& name : names) {
    for (std::uint32_t t = 0; t < 3; ++t) {
      Stream stream(93, {t, 0, 0});
      const Network network = covered(name, stream);
      const Dataset data = graph_images(network, 5, t == 0, stream);
      INFO(name << ", network " << t);
      auto given = by_interval(t == 1 ? "bound" : "hinge", t == 2 ? 0.3 : 0.05);
      given["mu"] = t == 0 ? "0.02" : "0";
      CHECK(worst_gradient(*loss_of("margin-robust", given), network, data, bends, values) < 4e-3);
      const auto certified = loss_of(
          "certified", {{"eps", "0.05"}, {"kappa", "0.3"}, {"ramp-length", "0"}, {"ramp-start", "0"}});
      CHECK(worst_gradient(*certified, network, data, bends, values) < 4e-3);
    }
  }
  INFO(bends << " bends of " << values);
  CHECK(bends < values / 10);
}

TEST_CASE("with batch normalisation the bound is that of the network folded at the block's statistics") {
  Index bends = 0;
  Index values = 0;
  for (std::uint32_t t = 0; t < 3; ++t) {
    Stream stream(95, {t, 0, 0});
    const Network plain = covered(t == 2 ? "branches" : "residual", stream);
    const Normalised normalised(plain);
    std::vector<Weights> parameters;
    Network training = normalised.training();
    for (int m = 0; m < training.layers(); ++m) {
      Weights own = training.weights(m);
      for (Index i = 0; i < own.weight.size() && own.weight.cols() == 1; ++i)
        own.weight.data()[i] = static_cast<float>(0.5 + stream.uniform());
      for (Index i = 0; i < own.bias.size(); ++i) own.bias(i) = static_cast<float>(0.3 * stream.normal());
      training = training.with(m, own);
      parameters.push_back(std::move(own));
    }
    const Dataset data = graph_images(plain, 6, false, stream);
    const double eps = 0.02;
    INFO("network " << t);

    // All images are one block, so folding meets the same statistics.
    const Network folded = normalised.folded(parameters, data);
    const MatrixD value = interval_of(folded, data, eps);
    double expected = 0;
    for (Index n = 0; n < data.size(); ++n) {
      double most = -HUGE_VAL;
      for (Index j = 0; j < value.cols(); ++j)
        if (j != data.labels[static_cast<std::size_t>(n)]) most = std::max(most, value(n, j));
      expected += most / static_cast<double>(data.size());
    }
    const auto bound = loss_of("margin-robust", by_interval("bound", eps));
    const double natural = evaluate(*loss_of("cross-entropy", {}), training, data).loss;
    CHECK(evaluate(*bound, training, data).loss - natural == Approx(expected).epsilon(1e-4));

    CHECK(worst_gradient(*bound, training, data, bends, values) < 6e-3);
    const auto certified =
        loss_of("certified", {{"eps", "0.02"}, {"kappa", "0.3"}, {"ramp-length", "0"}, {"ramp-start", "0"}});
    CHECK(worst_gradient(*certified, training, data, bends, values) < 6e-3);
  }
  INFO(bends << " bends of " << values);
  CHECK(bends < values / 10);
}

TEST_CASE("the penalty of a convolution is that of its equivalent matrix") {
  Network network({{1, 2, 3}}, {});
  network.add(make_layer("conv2d", {{"kernel", {1, 2}}, {"padding", {0, 1, 0, 0}}}),
              {(Matrix(1, 2) << 3, -4).finished(), {}});
  network.add(make_layer("flatten"), {});
  network.add(make_layer("dense"), {Matrix::Identity(2, 6), {}});
  const auto loss = loss_of("margin-robust", {{"bound", "interval"}, {"lambda", "0"}, {"mu", "0.5"}});
  std::vector<Weights> gradients = zeros_like(std::vector{network.weights(0), network.weights(1)});
  std::vector<Weights*> pointers = {&gradients[0], &gradients[1]};
  // Two rows of three positions: the first sees the second tap alone (4), two see both (5, l1-norm 7).
  CHECK(loss->penalty(network, network.view(), pointers) == Approx(0.5 * (2 * (4 + 5 + 5) + 7 + 2 + 1)));
  CHECK(gradients[0].weight(0, 0) == Approx(0.5 * (4 * 3.0 / 5 + 1)));
  CHECK(gradients[0].weight(0, 1) == Approx(0.5 * (-2 - 4 * 4.0 / 5 - 1)));
}

TEST_CASE("training lowers the bound of convolutional networks, with and without batch normalisation") {
  const Dataset data = corners(192, 1);
  const Dataset unseen = corners(48, 2);
  for (const bool batch_norm : {false, true}) {
    Stream stream(3, {});
    GraphBuilder plain(data.shape, stream);
    plain.convolution(4, same);
    plain.layer("relu");
    plain.layer("max-pool", {{"kernel", {2, 2}}, {"stride", {2, 2}}});
    plain.convolution(6, same);
    const int z = plain.layer("relu");
    plain.layer("add", {}, {z, plain.convolution(6, same)});
    plain.layer("relu");
    plain.dense(3);
    const Network start = initialise(plain.network(), 1, batch_norm);
    const auto mean_bound = [&](const std::string& loss, const std::map<std::string, std::string>& given) {
      Trainer trainer = trainer_of(start, data, loss, given, batch_norm);
      while (!trainer.finished()) trainer.step();
      CHECK(count_correct(trainer.network(), unseen) > 40);
      return interval_of(trainer.network(), unseen, 0.01).mean();
    };
    const double natural = mean_bound("cross-entropy", {});
    const double certified =
        mean_bound("certified", {{"eps", "0.01"}, {"ramp-start", "1"}, {"ramp-length", "2"}});
    const double robust =
        mean_bound("margin-robust", {{"bound", "interval"}, {"eps", "0.01"}, {"lambda", "0.3"}});
    INFO("batch norm " << batch_norm << ": mean bound " << natural << ", certified " << certified
                       << ", margin-robust " << robust);
    CHECK(certified < 0.9 * natural);
    CHECK(robust < 0.8 * natural);
  }
}

TEST_CASE("losses made of bounds say what of a graph they do not cover, and which bound does") {
  Stream stream(97, {});
  const auto refused = [&](const Network& network, const std::string& bound) {
    return loss_of("margin-robust", {{"bound", bound}})->refuses(network);
  };
  const Network lenet = make_architecture("lenet5", {{{1, 12, 12}}, 3});
  CHECK(refused(lenet, "interval").empty());
  for (const std::string bound : {"norm-product", "norm-vector", "linear"}) {
    CHECK_THAT(refused(lenet, bound), Catch::Contains("'conv1' (conv2d)") &&
                                          Catch::Contains("bound=interval works on this network"));
  }
  const Network tanh = make_architecture("lenet5", {{{1, 12, 12}}, 3, "tanh"});
  CHECK_THAT(refused(tanh, "interval"), Catch::Contains("may be negative"));
  CHECK_THAT(refused(tanh, "linear"), !Catch::Contains("works on this network"));
  CHECK_THAT(refused(small_graph("grouped", stream), "interval"), Catch::Contains("scale"));
  CHECK_THAT(refused(small_graph("no dense", stream), "interval"), Catch::Contains("not dense"));
  CHECK_THAT(refused(small_graph("image", stream), "interval"), Catch::Contains("not monotone"));
  CHECK_THAT(refused(small_graph("joined", stream), "interval"), Catch::Contains("may be negative"));
  for (const std::string name : {"resnet8", "resnet20"}) {
    const Network plain = make_architecture(name, {{{1, 9, 9}}, 3});
    CHECK(refused(plain, "interval").empty());
    const Normalised normalised(plain);
    CHECK(refused(normalised.training(), "interval").empty());
    const auto penalised = loss_of("margin-robust", {{"bound", "interval"}, {"mu", "0.1"}});
    CHECK_THAT(penalised->refuses(normalised.training()), Catch::Contains("--batch-norm off"));
    CHECK(penalised->refuses(plain).empty());
  }
}
