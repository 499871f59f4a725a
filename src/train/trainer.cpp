#include "chunks.hpp"
#include "streams.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/train/batch_norm.hpp>
#include <temblor/train/trainer.hpp>

namespace temblor {
namespace {

/// Gradients kept apart for one batch. More would only cost memory: a slot takes several blocks of a large
/// batch.
constexpr Index most_slots = 16;

/// What one task of a batch works on.
struct Slot {
  Block block;
  Activations activations;
  std::vector<Weights> gradients;
  std::vector<Weights*> pointers;
  LossSum sum;
};

template <class Values>
void add_slots(std::span<Slot> slots, const Values& values_of) {
  auto& first = values_of(slots[0]);
  for_chunks(first.size(), [&](Index begin, Index count) {
    Eigen::Map<Eigen::ArrayXf> total(first.data() + begin, count);
    for (Slot& slot : slots.subspan(1)) {
      total += Eigen::Map<const Eigen::ArrayXf>(values_of(slot).data() + begin, count);
    }
  });
}

}  // namespace

struct Trainer::State final : Batch {
  State(const Network& start, const Dataset& images, TrainingPlan given)
      : network(start), data(&images), plan(std::move(given)), schedule(&find_schedule(plan.schedule)) {
    if (plan.batch_norm) {
      if (plan.clip > 0) {
        usage_error("--clip-weights with batch normalisation",
                    "folding it scales the weights when training ends", "add --batch-norm off");
      }
      normalised.emplace(start);
      network = normalised->training();
    }
    for (int layer = 0; layer < network.layers(); ++layer) parameters.push_back(network.weights(layer));
    for (const Weights& layer : parameters) view.push_back(&layer);
    loss = find_loss(plan.loss).make(plan.loss_params);
    if (const auto why = loss->refuses(network); !why.empty()) {
      usage_error("loss '" + plan.loss + "' on this network", why, "choose another loss or network");
    }
    optimizer = find_optimizer(plan.optimizer).make(plan.optimizer_params, parameters);
    plan.batch = std::min(plan.batch, data->size());
    const Index blocks = (plan.batch + block - 1) / block;
    slot_images = block * ((blocks + most_slots - 1) / most_slots);
    slots.resize(static_cast<std::size_t>((plan.batch + slot_images - 1) / slot_images));
    for (Slot& slot : slots) {
      slot.gradients = zeros_like(parameters);
      for (Weights& layer : slot.gradients) slot.pointers.push_back(&layer);
    }
    shuffle();
  }

  void shuffle() {
    Stream stream(plan.seed, {training_point, static_cast<std::uint32_t>(reports.size()), shuffle_stream});
    order = permutation(stream, static_cast<std::uint32_t>(data->size()));
    report = {};
    report.epoch = static_cast<std::int64_t>(reports.size()) + 1;
  }

  /// Fills the block with rows [from, from + images) of the epoch's order.
  void gather(Block& rows, Index from, Index images) const {
    rows.images.resize(images, data->images.cols());
    rows.labels.resize(static_cast<std::size_t>(images));
    for (Index i = 0; i < images; ++i) {
      const std::uint32_t image = order[static_cast<std::size_t>(from + i)];
      rows.images.row(i) = data->images.row(image);
      rows.labels[static_cast<std::size_t>(i)] = data->labels[image];
    }
  }

  const WeightView& weights() const override { return view; }
  const TrainingTime& time() const override { return now; }
  Index images() const override { return count; }
  Stream stream() const override {
    return {plan.seed,
            {training_point, static_cast<std::uint32_t>(now.epoch),
             batch_stream + static_cast<std::uint32_t>(batch)}};
  }
  std::vector<Weights>& gradients() override { return slots[0].gradients; }

  LossSum evaluate(const WeightView& at_weights) override {
    const double share = 1.0 / static_cast<double>(count);
    const Index used = (count + slot_images - 1) / slot_images;
    tbb::parallel_for(Index{0}, used, [&](Index s) {
      Slot& slot = slots[static_cast<std::size_t>(s)];
      slot.sum = {};
      for (Weights& layer : slot.gradients) {
        layer.weight.setZero();
        layer.bias.setZero();
      }
      const Index end = std::min(count, (s + 1) * slot_images);
      for (Index at = s * slot_images; at < end; at += block) {
        gather(slot.block, begin + at, std::min(block, end - at));
        slot.sum +=
            loss->add_gradients(network, at_weights, slot.block, share, slot.activations, slot.pointers);
      }
    });
    const std::span<Slot> filled = std::span(slots).first(static_cast<std::size_t>(used));
    for (std::size_t m = 0; m < parameters.size(); ++m) {
      add_slots(filled, [m](Slot& slot) -> Matrix& { return slot.gradients[m].weight; });
      add_slots(filled, [m](Slot& slot) -> Vector& { return slot.gradients[m].bias; });
    }
    LossSum sum;
    for (const Slot& slot : filled) sum += slot.sum;
    sum.loss += static_cast<double>(count) * loss->penalty(network, at_weights, slots[0].pointers);
    return sum;
  }

  void clip_weights() {
    if (plan.clip == 0) return;
    const auto most = static_cast<float>(plan.clip);
    for (Weights& layer : parameters) {
      for_chunks(layer.weight.size(), [&](Index first, Index n) {
        for (Index i = first; i < first + n; ++i) {
          float& weight = layer.weight.data()[i];
          // Written so that NaN stays NaN.
          weight = weight > most ? most : weight < -most ? -most : weight;
        }
      });
    }
  }

  void refuse_divergence(bool finite, std::string_view what) const {
    if (finite) return;
    usage_error("training diverged: " + std::string(what) + " at epoch " + std::to_string(report.epoch) +
                    ", batch " + std::to_string(batch),
                "the steps are too large for this network and data",
                "lower --lr (now " + to_text(plan.rate) + ")");
  }

  Network network;  ///< the graph that is trained; its own parameters are those of the start
  std::optional<Normalised> normalised;
  const Dataset* data;
  TrainingPlan plan;
  const ScheduleEntry* schedule;
  std::vector<Weights> parameters;
  WeightView view;
  std::unique_ptr<Loss> loss;
  std::unique_ptr<Optimizer> optimizer;
  Index slot_images = 0;
  std::vector<Slot> slots;
  std::vector<std::uint32_t> order;
  std::int64_t batch = 0;  ///< of this epoch
  Index begin = 0;         ///< first image of the batch, in the epoch's order
  Index count = 0;         ///< its images
  TrainingTime now;
  EpochReport report;
  std::vector<EpochReport> reports;
};

Trainer::Trainer(const Network& network, const Dataset& data, TrainingPlan plan) {
  if (data.size() == 0) usage_error("training set '" + data.name + "'", "it is empty", "select some images");
  if (plan.epochs < 1 || plan.batch < 1 || !(plan.rate > 0)) {
    usage_error("training plan", "epochs, batch and learning rate are positive",
                "correct --epochs, --batch or --lr");
  }
  if (!(plan.clip >= 0))
    usage_error("training plan", "weights are clipped to a range around 0", "correct --clip-weights");
  ensure(data.images.cols() == network.input().size(), "images fit the network");
  for (const std::int32_t label : data.labels)
    ensure(label >= 0 && label < network.classes(), "labels fit the network");
  state_ = std::make_unique<State>(network, data, std::move(plan));
}

Trainer::~Trainer() = default;

bool Trainer::finished() const {
  return static_cast<std::int64_t>(state_->reports.size()) == state_->plan.epochs;
}

std::int64_t Trainer::batches() const {
  return (state_->data->size() + state_->plan.batch - 1) / state_->plan.batch;
}

std::int64_t Trainer::batches_done() const {
  return state_->batch;
}

const std::vector<EpochReport>& Trainer::epochs() const {
  return state_->reports;
}

void Trainer::step() {
  ensure(!finished(), "a finished training takes no more steps");
  State& state = *state_;
  state.begin = state.batch * state.plan.batch;
  state.count = std::min(state.plan.batch, state.data->size() - state.begin);
  const auto epoch = static_cast<std::int64_t>(state.reports.size());
  const auto done = static_cast<double>(epoch * batches() + state.batch);
  state.now = {epoch, done / static_cast<double>(state.plan.epochs * batches()),
               done / static_cast<double>(batches())};
  state.report.rate = state.plan.rate * state.schedule->factor(state.plan.schedule_params, state.now);

  const LossSum sum = state.loss->step(state);
  ++state.batch;
  state.refuse_divergence(std::isfinite(sum.loss), "loss is not finite");
  state.report.sum += sum;
  state.report.images += state.count;
  state.optimizer->step(state.parameters, state.slots[0].gradients, state.report.rate);
  state.clip_weights();

  if (state.batch < batches()) return;
  for (const Weights& layer : state.parameters) {
    state.refuse_divergence(layer.weight.allFinite() && layer.bias.allFinite(), "weights are not finite");
  }
  state.reports.push_back(state.report);
  state.batch = 0;
  if (!finished()) state.shuffle();
}

Network Trainer::network() const {
  if (state_->normalised) return state_->normalised->folded(state_->parameters, *state_->data);
  Network trained = state_->network;
  for (int layer = 0; layer < trained.layers(); ++layer) {
    trained = trained.with(layer, state_->parameters[static_cast<std::size_t>(layer)]);
  }
  return trained;
}

std::int64_t count_correct(const Network& network, const Dataset& data) {
  const Matrix answers = logits(network, network.view(), data.images, true);
  std::int64_t correct = 0;
  for (Index image = 0; image < answers.rows(); ++image) {
    const std::int32_t answer = predict(answers.row(image).data(), answers.cols());
    correct += answer == data.labels[static_cast<std::size_t>(image)] ? 1 : 0;
  }
  return correct;
}

}  // namespace temblor
