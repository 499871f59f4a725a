#include <temblor/base/error.hpp>
#include <temblor/perturb/perturbation.hpp>

namespace temblor {

Workspace::Workspace(const Network& network)
    : network_(&network), own_(static_cast<std::size_t>(network.layers())), view_(network.view()) {}

const WeightView& Workspace::apply(const SparseDelta& delta) {
  undo();
  for (const Change& change : delta.changes) {
    auto& own = own_.at(change.layer);
    if (!own) own = network_->weights(static_cast<int>(change.layer));
    view_[change.layer] = &*own;
    ensure(change.index < static_cast<std::uint64_t>(own->weight.size()),
           "a change names a weight of its layer");
    float& weight = own->weight.data()[change.index];
    saved_.push_back({change.layer, change.index, weight});
    weight = change.after;
  }
  return view_;
}

const WeightView& Workspace::apply(const DenseDelta& delta) {
  undo();
  for (std::size_t layer = 0; layer < delta.layers.size(); ++layer) {
    if (delta.layers[layer]) view_[layer] = &*delta.layers[layer];
  }
  return view_;
}

void Workspace::undo() {
  for (std::size_t i = saved_.size(); i-- > 0;) {
    own_[saved_[i].layer]->weight.data()[saved_[i].index] = saved_[i].after;
  }
  saved_.clear();
  view_ = network_->view();
}

}  // namespace temblor
