#include "l2c/sampling/denoise.h"

#include <fmt/format.h>

#include <utility>

#include "finite_check.h"
#include "l2c/cache/runner.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/guidance.h"
#include "l2c/ops/workspace.h"

namespace l2c {

namespace {

// What stays the same in all evaluations of a micro-batch.
struct Batch {
  at::Tensor labels;  // [rows], the null label in the second half when guided
  std::int64_t rows = 0;
};

Batch make_batch(const DenoiseJob& job, const at::Tensor& labels) {
  if (!job.guidance.on()) return {labels, labels.size(0)};
  const DenoiserInfo& info = job.model.info();
  return {at::cat({labels, at::full_like(labels, *info.null_label)}), 2 * labels.size(0)};
}

at::Tensor model_output(const DenoiseJob& job, const Batch& batch, const at::Tensor& x,
                        const Evaluation& evaluation, BranchRunner& runner) {
  const bool guided = job.guidance.on();
  const at::Tensor rows = guided ? at::cat({x, x}) : x;
  const at::Tensor t = at::full({batch.rows}, evaluation.time, x.options());
  at::Tensor output = job.model.forward(rows, t, batch.labels, runner);
  return guided ? guide(output, job.guidance.scale, job.guidance.channels) : output;
}

void check_stop(const DenoiseJob& job, const Evaluation& evaluation) {
  if (!job.stop.stop_requested()) return;
  throw Cancelled(fmt::format("cancelled before step {} of {}; nothing was written",
                              evaluation.index + 1, evaluation.count));
}

}  // namespace

void check_guidance(const Guidance& guidance, const DenoiserInfo& info) {
  if (!guidance.on() || info.null_label) return;
  throw InputError(fmt::format(
      "{} was made without a null label (class_dropout_prob 0) and cannot be guided: set the "
      "guidance scale to 1",
      info.architecture));
}

RunShape run_shape(int blocks, const Schedule& schedule, std::string sampler,
                   std::string fingerprint) {
  RunShape shape;
  shape.blocks = blocks;
  shape.spacing = schedule.spacing;
  shape.sampler = std::move(sampler);
  shape.fingerprint = std::move(fingerprint);
  const int steps = schedule.steps();
  shape.evaluations.reserve(static_cast<std::size_t>(steps));
  for (int k = 0; k < steps; ++k) {
    const int row = steps - 1 - k;
    const double time = schedule.timestep_map[static_cast<std::size_t>(row)];
    shape.evaluations.push_back({.index = k, .count = steps, .time = time, .row = row, .pass = 0});
  }
  return shape;
}

DenoiseResult denoise(const DenoiseJob& job, const at::Tensor& noise, const at::Tensor& labels) {
  const DenoiserInfo& info = job.model.info();
  check_guidance(job.guidance, info);
  const RunShape shape = run_shape(info.blocks, job.schedule, job.sampler, info.fingerprint);
  DenoiseResult result;
  result.computed_by_unit.assign(static_cast<std::size_t>(shape.units()), 0);
  at::Tensor x = noise;
  {
    const c10::InferenceMode no_autograd;
    ops::Workspace workspace;
    const ops::WorkspaceScope scope(workspace);
    const Batch batch = make_batch(job, labels);
    CacheStore store(batch.rows, info.tokens, info.width,
                     noise.options().dtype(job.model.branch_dtype()));
    const auto run = job.policy.start(shape, store);
    FiniteCheck finite;
    for (const Evaluation& evaluation : shape.evaluations) {
      check_stop(job, evaluation);
      CountingRunner runner(run->begin(evaluation), &result.computed_by_unit);
      const at::Tensor output = model_output(job, batch, x, evaluation, runner);
      const StepResult step = job.step(evaluation.row, evaluation.index, x, output);
      x = step.sample;
      finite.add(evaluation, x);
      if (job.observer) job.observer({evaluation, x, step.pred_xstart, runner.computed()});
    }
    finite.finish();
    result.cache_bytes = store.peak_bytes();
  }
  // A copy made outside of inference mode is an ordinary tensor again, fit for autograd.
  result.latents = x.clone();
  return result;
}

}  // namespace l2c
