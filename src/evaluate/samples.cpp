#include "state.hpp"
#include "tally.hpp"

#include <algorithm>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/perturb/sample.hpp>

namespace temblor {
namespace {

constexpr Index block = 64;

void fold(const Baseline& base, const Evaluator::Scratch::State& state, Tally& tally) {
  for (Index n = 0; n < base.data.size(); ++n)
    tally.add(static_cast<std::int32_t>(n), state.logits.data() + n * base.network.classes());
}

}  // namespace

void infer_samples(const Baseline& base, const SampleDelta& delta, Evaluator::Scratch::State& state,
                   Tally& tally) {
  const Index classes = base.network.classes();
  state.logits.resize(static_cast<std::size_t>(base.data.size() * classes));
  const SampleForward forward(base.network, delta);
  const auto run = [&](const tbb::blocked_range<Index>& rows) {
    SampleForward::Buffers buffers;
    for (Index n = rows.begin(); n < rows.end(); ++n) {
      const Matrix& logits = forward.run(n, base.data.images.data() + n * base.data.images.cols(), buffers);
      std::copy_n(logits.data(), classes, state.logits.data() + n * classes);
    }
  };
  // Isolated: a worker that waits here must not start another trial with the same scratch.
  tbb::this_task_arena::isolate(
      [&] { tbb::parallel_for(tbb::blocked_range<Index>(0, base.data.size(), block), run); });
  fold(base, state, tally);
}

void infer_samples_full(const Baseline& base, const SampleDelta& delta, Evaluator::Scratch::State& state,
                        Tally& tally) {
  const Index classes = base.network.classes();
  state.logits.resize(static_cast<std::size_t>(base.data.size() * classes));
  for (Index n = 0; n < base.data.size(); ++n) {
    const Matrix image = base.data.images.row(n);
    const auto own = perturbed_weights(base.network, delta, n, image);
    WeightView view = base.network.view();
    for (std::size_t layer = 0; layer < view.size(); ++layer) {
      if (own[layer]) view[layer] = &*own[layer];
    }
    const Matrix values = logits(base.network, view, delta.seen(n, image));
    std::copy_n(values.data(), classes, state.logits.data() + n * classes);
  }
  fold(base, state, tally);
}

}  // namespace temblor
