#include <support/fashion.hpp>

#include <temblor/train/trainer.hpp>

namespace temblor::testing {

Network trained_on_fashion(const std::string& arch, int images) {
  const Dataset data =
      load_dataset({"fashion-mnist", Split::train, "", "first:" + std::to_string(images)}, {});
  TrainingPlan plan;
  plan.epochs = 1;
  plan.loss_params = Params("loss", find_loss(plan.loss).params, {});
  plan.optimizer_params = Params("optimiser", find_optimizer(plan.optimizer).params, {});
  plan.schedule_params = Params("schedule", find_schedule(plan.schedule).params, {});
  Trainer trainer(initialise(multilayer_perceptron(arch, "relu", true, {}, {{784}}), 1), data, plan);
  while (!trainer.finished()) trainer.step();
  return trainer.network();
}

}  // namespace temblor::testing
