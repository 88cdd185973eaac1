#include "l2c/training/router_trajectory.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/diffusion/guidance.h"
#include "l2c/diffusion/steps.h"
#include "l2c/models/branch_runner.h"
#include "l2c/sampling/denoise.h"

namespace l2c {

namespace {

// The values that each unit computed, latest first, as deep as the recall looks back.
class Memory {
 public:
  Memory(int units, const Recall& recall)
      : values_(static_cast<std::size_t>(units)), recall_(recall) {}

  void keep(int unit, const Moment& moment, at::Tensor value) {
    auto& kept = values_[static_cast<std::size_t>(unit)];
    kept.emplace_front(moment, std::move(value));
    if (kept.size() > static_cast<std::size_t>(recall_.depth())) kept.pop_back();
  }

  [[nodiscard]] at::Tensor recalled(int unit, const Moment& now) const {
    const auto& kept = values_[static_cast<std::size_t>(unit)];
    std::vector<Moment> moments;
    for (const auto& [moment, value] : kept) moments.push_back(moment);
    const auto weights = checked_weights(recall_, unit, moments, now);
    at::Tensor sum = kept.front().second * weights[0];
    for (std::size_t i = 1; i < weights.size(); ++i) {
      sum = at::add(sum, kept[i].second, weights[i]);
    }
    return sum;
  }

 private:
  std::vector<std::deque<std::pair<Moment, at::Tensor>>> values_;  // fp32 [rows, T, D]
  const Recall& recall_;
};

// Computes everything and keeps it.
class FullRunner final : public BranchRunner {
 public:
  FullRunner(Memory& memory, Moment now) : memory_(memory), now_(now) {}
  BranchValue branch(BranchId id, BranchFunction compute) override {
    const at::Tensor value = compute({});
    memory_.keep(id.unit(), now_, value.to(at::kFloat));
    return single(value);
  }

 private:
  Memory& memory_;
  Moment now_;
};

class StudentRunner final : public BranchRunner {
 public:
  StudentRunner(Memory& memory, Moment now, const at::Tensor& scores,
                const TrajectoryOptions& options)
      : memory_(memory), now_(now), scores_(scores.unbind(0)), options_(options) {
    const at::Tensor values = scores.detach().cpu();
    for (std::int64_t unit = 0; unit < values.size(0); ++unit) {
      computed_.push_back(values[unit].item<double>() > options.threshold);
    }
  }

  BranchValue branch(BranchId id, BranchFunction compute) override {
    const auto unit = static_cast<std::size_t>(id.unit());
    const at::Tensor computed = compute({}).to(at::kFloat);
    const at::Tensor recalled = memory_.recalled(id.unit(), now_);
    if (computed_[unit]) memory_.keep(id.unit(), now_, computed.detach());
    const at::Tensor& score = scores_[unit];
    if (!options_.hard) return single(at::lerp(recalled, computed, score));
    const at::Tensor chosen = computed_[unit] ? computed : recalled;
    // Zero, with the mixture's gradient to the score.
    return single(chosen + (score - score.detach()) * (computed.detach() - recalled));
  }

 private:
  Memory& memory_;
  Moment now_;
  std::vector<at::Tensor> scores_;
  std::vector<bool> computed_;
  const TrajectoryOptions& options_;
};

class Trajectory {
 public:
  Trajectory(const Denoiser& model, const Schedule& schedule, const at::Tensor& noise,
             const at::Tensor& labels, const TrajectoryOptions& options)
      : model_(model),
        schedule_(schedule),
        options_(options),
        shape_(run_shape(model.info().blocks, schedule, "ddim", model.info().fingerprint)),
        memory_(shape_.units(), *options.recall),
        x_(noise),
        labels_(labels) {
    options.recall->check(shape_);
    if (!guidance().on()) return;
    check_guidance(guidance(), model.info(), schedule);
    labels_ = at::cat({labels, at::full_like(labels, *model.info().null_label)});
  }

  [[nodiscard]] const std::vector<Evaluation>& evaluations() const { return shape_.evaluations; }

  void full(const Evaluation& evaluation) {
    const at::NoGradGuard no_grad;
    FullRunner runner(memory_, moment(evaluation));
    step(evaluation, forward(evaluation, runner));
  }

  TrajectoryStep cached(const Evaluation& evaluation, const at::Tensor& logits, double lambda) {
    const at::Tensor teacher = [&] {
      const at::NoGradGuard no_grad;
      ComputeAllRunner runner;
      return forward(evaluation, runner);
    }();
    const at::AutoGradMode with_gradients(true);
    const at::Tensor scores = logits.sigmoid();
    StudentRunner runner(memory_, moment(evaluation), scores, options_);
    const at::Tensor student = forward(evaluation, runner);
    const std::int64_t channels = x_.size(1);
    const at::Tensor error =
        error_weight(schedule_, evaluation.row) *
        (teacher.narrow(1, 0, channels) - student.narrow(1, 0, channels)).square().mean();
    const at::Tensor weight_sum = scores.sum();
    (error + lambda * weight_sum).backward();
    step(evaluation, student.detach());
    return {.evaluation = evaluation.index,
            .row = evaluation.row,
            .error = error.item<double>(),
            .weight_sum = weight_sum.item<double>()};
  }

 private:
  [[nodiscard]] Guidance guidance() const {
    return {.scale = options_.guidance, .channels = options_.guided_channels};
  }
  static Moment moment(const Evaluation& evaluation) { return {evaluation.index, evaluation.time}; }

  at::Tensor forward(const Evaluation& evaluation, BranchRunner& runner) {
    const at::Tensor x = guidance().on() ? at::cat({x_, x_}) : x_;
    const at::Tensor t =
        at::full({x.size(0)}, static_cast<std::int64_t>(evaluation.time), labels_.options());
    return model_.forward(x, t, labels_, runner).to(at::kFloat);
  }

  void step(const Evaluation& evaluation, const at::Tensor& output) {
    const at::NoGradGuard no_grad;
    const at::Tensor guided =
        guidance().on() ? guide(output, options_.guidance, options_.guided_channels) : output;
    x_ = ddim_step(schedule_, evaluation.row, x_, guided, /*eta=*/0, {}).sample;
  }

  const Denoiser& model_;
  const Schedule& schedule_;
  const TrajectoryOptions& options_;
  RunShape shape_;
  Memory memory_;
  at::Tensor x_;
  at::Tensor labels_;
};

}  // namespace

std::vector<TrajectoryStep> router_trajectory(
    const Denoiser& model, const Schedule& schedule, const std::vector<bool>& cache_steps,
    const std::function<const at::Tensor&(int row)>& logits, double lambda, const at::Tensor& noise,
    const at::Tensor& labels, const TrajectoryOptions& options) {
  if (static_cast<int>(cache_steps.size()) != schedule.steps()) {
    throw InputError(fmt::format("cache steps of {} evaluations, the schedule has {}",
                                 cache_steps.size(), schedule.steps()));
  }
  if (cache_steps.front()) {
    throw InputError("the first evaluation cannot be a cache step: nothing is stored yet");
  }
  Trajectory trajectory(model, schedule, noise, labels, options);
  std::vector<TrajectoryStep> steps;
  for (const Evaluation& evaluation : trajectory.evaluations()) {
    if (cache_steps[static_cast<std::size_t>(evaluation.index)]) {
      steps.push_back(trajectory.cached(evaluation, logits(evaluation.row), lambda));
    } else {
      trajectory.full(evaluation);
    }
  }
  return steps;
}

}  // namespace l2c
