#include "l2c/training/router_objective.h"

#include <fmt/format.h>

#include "l2c/core/error.h"
#include "l2c/diffusion/steps.h"
#include "l2c/training/mixing_runner.h"

namespace l2c {

namespace {

void check_row(const Schedule& schedule, int row) {
  if (row >= 0 && row % 2 == 0 && row + 1 < schedule.steps()) return;
  throw InputError(
      fmt::format("row {} cannot be trained: a cache step of {} steps is even and has a full step "
                  "before it (0 to {})",
                  row, schedule.steps(), schedule.steps() - 2));
}

at::Tensor timesteps(const Schedule& schedule, int index, const at::Tensor& like) {
  return at::full({like.size(0)}, schedule.timestep_map.at(static_cast<std::size_t>(index)),
                  like.options().dtype(at::kLong));
}

}  // namespace

RouterTarget router_target(const Denoiser& model, const Schedule& schedule, int row,
                           const RouterBatch& batch) {
  check_row(schedule, row);
  const at::NoGradGuard no_grad;
  const int s = row + 1;
  RouterTarget target;
  target.row = row;
  target.labels = batch.labels;
  target.x_s = q_sample(schedule, s, batch.x0, batch.noise);
  FillRunner fill(2 * model.info().blocks);
  target.output_s =
      model.forward(target.x_s, timesteps(schedule, s, target.x_s), batch.labels, fill)
          .to(at::kFloat);
  target.branches = fill.take();
  target.x_m = ddim_step(schedule, s, target.x_s, target.output_s, /*eta=*/0, {}).sample;
  target.t_m = timesteps(schedule, row, target.x_m);
  ComputeAllRunner all;
  target.output = model.forward(target.x_m, target.t_m, batch.labels, all).to(at::kFloat);
  return target;
}

RouterLoss router_loss(const Denoiser& model, const RouterTarget& target, const at::Tensor& logits,
                       double lambda) {
  const at::AutoGradMode with_gradients(true);
  RouterLoss loss;
  const at::Tensor weights = logits.sigmoid();
  MixingRunner mix(weights, target.branches);
  loss.student = model.forward(target.x_m, target.t_m, target.labels, mix).to(at::kFloat);
  loss.mse_per_sample = (target.output - loss.student).square().flatten(1).mean(1);
  loss.mse = loss.mse_per_sample.mean();
  loss.weight_sum = weights.sum();
  loss.total = loss.mse + lambda * loss.weight_sum;
  return loss;
}

}  // namespace l2c
