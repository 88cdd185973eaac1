#include "l2c/sampling/denoise.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "finite_check.h"
#include "forward_executor.h"
#include "l2c/cache/runner.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/guidance.h"
#include "l2c/ops/workspace.h"
#include "l2c/sampling/graphs.h"

namespace l2c {

namespace {

// One a batch row: the null label in the second half when guided.
at::Tensor batch_labels(const DenoiseJob& job, const at::Tensor& labels) {
  if (!job.guidance.on()) return labels;
  return at::cat({labels, at::full_like(labels, *job.model.info().null_label)});
}

// The cache side of a run, and who calls the model in it.
class Calls {
 public:
  Calls(const DenoiseJob& job, const RunShape& shape, const at::Tensor& noise,
        const at::Tensor& labels)
      : store_(labels.size(0), job.model.info().tokens, job.model.info().width,
               noise.options().dtype(job.model.branch_dtype())),
        run_(job.policy.start(shape, store_, nullptr)),
        direct_(job.model, labels, shape.evaluations, job.conditions_bytes, *run_, store_) {
    // A policy that decides as it goes, or watches, has a run of its own kind.
    const auto* const planned = dynamic_cast<const PlanRun*>(run_.get());
    if (job.graphs != nullptr && planned != nullptr) {
      executor_ = &job.graphs->start(job.model, planned->plan(), labels, noise);
    }
  }
  ForwardExecutor& executor() { return *executor_; }

 private:
  CacheStore store_;
  std::unique_ptr<CacheRun> run_;
  DirectExecutor direct_;
  ForwardExecutor* executor_ = &direct_;
};

at::Tensor guided(const DenoiseJob& job, const at::Tensor& output) {
  if (!job.guidance.on()) return output;
  return guide(output, job.guidance.scale, job.guidance.channels);
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
                   std::string fingerprint, const Guidance& guidance) {
  RunShape shape;
  shape.blocks = blocks;
  shape.spacing = schedule.spacing;
  shape.sampler = std::move(sampler);
  shape.fingerprint = std::move(fingerprint);
  shape.rows_per_image = guidance.on() ? 2 : 1;
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
  const RunShape shape =
      run_shape(info.blocks, job.schedule, job.sampler, info.fingerprint, job.guidance);
  DenoiseResult result;
  result.computed_by_unit.assign(static_cast<std::size_t>(shape.units()), 0);
  at::Tensor x = noise;
  {
    const c10::InferenceMode no_autograd;
    ops::Workspace workspace;
    const ops::WorkspaceScope scope(workspace);
    Calls calls(job, shape, noise, batch_labels(job, labels));
    ForwardExecutor& executor = calls.executor();
    FiniteCheck finite;
    for (const Evaluation& evaluation : shape.evaluations) {
      check_stop(job, evaluation);
      const ModelCall call = executor.forward(evaluation, x, result.computed_by_unit);
      const StepResult step =
          job.step(evaluation.row, evaluation.index, x, guided(job, call.output));
      x = step.sample;
      finite.add(evaluation, x);
      if (job.observer) job.observer({evaluation, x, step.pred_xstart, call.computed});
    }
    finite.finish();
    result.cache_bytes = executor.cache_bytes();
  }
  // A copy made outside of inference mode is an ordinary tensor again, fit for autograd.
  result.latents = x.clone();
  return result;
}

}  // namespace l2c
