#include "l2c/sampling/denoise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

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
at::Tensor batch_labels(const DenoiseJob& job, const at::Tensor& labels, bool guided) {
  if (!guided) return labels;
  return at::cat({labels, at::full_like(labels, *job.model.info().null_label)});
}

bool starts(const Evaluation& evaluation) {
  return evaluation.index == 0 || evaluation.starts_anew;
}

bool starts_only_once(const RunShape& shape) {
  return std::count_if(shape.evaluations.begin(), shape.evaluations.end(), starts) == 1;
}

// The shape that evaluations of so many rows belong to.
RunShape with_rows(RunShape shape, int rows_per_image) {
  shape.rows_per_image = rows_per_image;
  return shape;
}

// The cache side of a run, as long as guidance is on or off, and who calls the model in it.
class Calls {
 public:
  // labels: one a batch row.
  Calls(const DenoiseJob& job, const RunShape& shape, const at::Tensor& noise,
        const at::Tensor& labels)
      : store_(labels.size(0), job.model.info().tokens, job.model.info().width,
               noise.options().dtype(job.model.branch_dtype())),
        run_(job.policy.start(shape, store_, nullptr)),
        direct_(job.model, labels, shape.evaluations, job.conditions_bytes, *run_, store_) {
    // A policy that decides as it goes, or watches, has a run of its own kind.
    const auto* const planned = dynamic_cast<const PlanRun*>(run_.get());
    if (job.graphs != nullptr && planned != nullptr && starts_only_once(shape)) {
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

void check_stop(const DenoiseJob& job, const Evaluation& evaluation) {
  if (!job.stop.stop_requested()) return;
  throw Cancelled(fmt::format("cancelled before step {} of {}; there is no result",
                              evaluation.index + 1, evaluation.count));
}

void check_range(const Guidance& guidance, const Schedule& schedule) {
  const auto& times = schedule.timestep_map;
  if (std::any_of(times.begin(), times.end(), [&](int t) { return guidance.on_at(t); })) return;
  throw InputError(fmt::format(
      "no timestep of the run is in the guidance range {} to {}: they go from {} to {}; widen it, "
      "or set the guidance scale to 1",
      guidance.range.low, guidance.range.high, times.front(), times.back()));
}

// The run's model calls, with the rows that each of them has.
class Caller {
 public:
  // All of them outlive this. labels: one an image.
  Caller(const DenoiseJob& job, const RunShape& shape, const at::Tensor& labels,
         DenoiseResult& result)
      : job_(job), shape_(shape), labels_(labels), result_(result) {
    const auto units = static_cast<std::size_t>(shape.units());
    result.computed_by_unit.assign(units, 0);
    result.rows_by_unit.assign(units, 0);
  }

  // The output for x, guided where it has to be.
  ModelCall operator()(const Evaluation& evaluation, const at::Tensor& x) {
    const Guidance& guidance = job_.guidance;
    const bool is_guided = guidance.on_at(evaluation.time);
    if (starts(evaluation)) start(x, is_guided);
    std::vector<double> by_unit(result_.computed_by_unit.size(), 0);
    ModelCall call = calls_->executor().forward(evaluation, x, by_unit);
    count(by_unit, is_guided ? 2 : 1);
    if (is_guided) call.output = guide(call.output, guidance.scale, guidance.channels);
    return call;
  }

 private:
  // Memory in blocks for so many rows is of no use to others: it goes back first.
  void start(const at::Tensor& x, bool is_guided) {
    calls_.reset();
    scope_.reset();
    workspace_.reset();
    scope_.emplace(workspace_.emplace());
    calls_.emplace(job_, with_rows(shape_, is_guided ? 2 : 1), x,
                   batch_labels(job_, labels_, is_guided));
  }

  void count(const std::vector<double>& by_unit, int rows) {
    result_.rows += rows;
    for (std::size_t u = 0; u < by_unit.size(); ++u) {
      result_.computed_by_unit[u] += by_unit[u];
      result_.rows_by_unit[u] += by_unit[u] * rows;
    }
    result_.cache_bytes = std::max(result_.cache_bytes, calls_->executor().cache_bytes());
  }

  const DenoiseJob& job_;
  const RunShape& shape_;
  const at::Tensor& labels_;
  DenoiseResult& result_;
  std::optional<ops::Workspace> workspace_;
  std::optional<ops::WorkspaceScope> scope_;
  std::optional<Calls> calls_;
};

}  // namespace

void check_guidance(const Guidance& guidance, const DenoiserInfo& info, const Schedule& schedule) {
  if (!guidance.on()) return;
  if (!info.null_label) {
    throw InputError(fmt::format(
        "{} was made without a null label (class_dropout_prob 0) and cannot be guided: set the "
        "guidance scale to 1",
        info.architecture));
  }
  check_range(guidance, schedule);
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
  double before = 0;
  for (int k = 0; k < steps; ++k) {
    const int row = steps - 1 - k;
    const double time = schedule.timestep_map[static_cast<std::size_t>(row)];
    const bool changes = k > 0 && guidance.on_at(time) != guidance.on_at(before);
    shape.evaluations.push_back(
        {.index = k, .count = steps, .time = time, .row = row, .pass = 0, .starts_anew = changes});
    before = time;
  }
  return shape;
}

DenoiseResult denoise(const DenoiseJob& job, const at::Tensor& noise, const at::Tensor& labels) {
  const DenoiserInfo& info = job.model.info();
  check_guidance(job.guidance, info, job.schedule);
  const RunShape shape =
      run_shape(info.blocks, job.schedule, job.sampler, info.fingerprint, job.guidance);
  DenoiseResult result;
  at::Tensor x = noise;
  {
    const c10::InferenceMode no_autograd;
    Caller call_model(job, shape, labels, result);
    FiniteCheck finite;
    for (const Evaluation& evaluation : shape.evaluations) {
      check_stop(job, evaluation);
      const ModelCall call = call_model(evaluation, x);
      const StepResult step = job.step(evaluation.row, evaluation.index, x, call.output);
      x = step.sample;
      finite.add(evaluation, x);
      if (job.observer) job.observer({evaluation, x, step.pred_xstart, call.computed});
    }
    finite.finish();
  }
  // A copy made outside of inference mode is an ordinary tensor again, fit for autograd.
  result.latents = x.clone();
  return result;
}

}  // namespace l2c
