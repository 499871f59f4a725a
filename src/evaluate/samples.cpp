#include "state.hpp"
#include "tally.hpp"

#include <algorithm>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

namespace temblor {

void infer_samples(const Baseline& base, const SampleDelta& delta, Evaluator::Scratch::State& state,
                   Tally& tally) {
  const Index classes = base.network.classes();
  state.logits.resize(static_cast<std::size_t>(base.data.size() * classes));
  const auto run = [&](Index n) {
    const Matrix image = base.data.images.row(n);
    const auto own = perturbed_weights(base.network, delta, n, image);
    WeightView view = base.network.view();
    for (std::size_t layer = 0; layer < view.size(); ++layer)
      view[layer] = own[layer] ? &*own[layer] : view[layer];
    const Matrix values = logits(base.network, view, image);
    std::copy_n(values.data(), classes, state.logits.data() + n * classes);
  };
  // Isolated: a worker that waits here must not start another trial with the same scratch.
  tbb::this_task_arena::isolate([&] { tbb::parallel_for(Index{0}, base.data.size(), run); });
  for (Index n = 0; n < base.data.size(); ++n)
    tally.add(static_cast<std::int32_t>(n), state.logits.data() + n * classes);
}

}  // namespace temblor
