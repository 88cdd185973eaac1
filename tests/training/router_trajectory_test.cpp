#include "l2c/training/router_trajectory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "l2c/cache/fitted_recall.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/recalling.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/steps.h"
#include "l2c/sampling/denoise.h"
#include "l2c/training/mixing_runner.h"
#include "router_results.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

constexpr int units = 8;
constexpr std::int64_t images = 3;

at::Tensor some_noise() {
  at::manual_seed(4);
  return at::randn({images, 4, 8, 8});
}
at::Tensor some_labels() { return at::tensor({1, 7, 3}, at::kLong); }

// One leaf a row.
struct Rows {
  explicit Rows(int steps, std::uint64_t seed = 9) {
    at::manual_seed(seed);
    for (int row = 0; row < steps; ++row) {
      leaves.push_back(at::randn({units}).requires_grad_());
    }
  }
  [[nodiscard]] std::vector<TrajectoryStep> run(const std::string& spacing, int group,
                                                const TrajectoryOptions& options,
                                                double lambda = 0) const {
    const auto model = test::tiny_model();
    const auto schedule = make_schedule(spacing);
    return router_trajectory(
        *model, schedule, router_cache_steps(group, run_shape(units / 2, schedule, "ddim")),
        [&](int row) -> const at::Tensor& { return leaves.at(static_cast<std::size_t>(row)); },
        lambda, some_noise(), some_labels(), options);
  }
  [[nodiscard]] Router router(int group) const {
    std::vector<at::Tensor> values;
    for (const auto& leaf : leaves) values.push_back(leaf.detach());
    return to_router(at::stack(values), {.group = group});
  }
  std::vector<at::Tensor> leaves;
};

TrajectoryOptions with(const char* recall, bool hard = false, double guidance = 1) {
  return {.recall = parse_recall(recall),
          .threshold = 0.5,
          .hard = hard,
          .guidance = guidance,
          .guided_channels = 3};
}

// Four steps, a full one before each cached one: the published pieces put together by hand.
TEST(RouterTrajectory, IsThePublishedMixtureAlongTheSamplersWay) {
  constexpr double lambda = 1e-3;
  const Rows rows(4);
  const auto steps = rows.run("4", 2, with("latest"), lambda);
  const Rows expected(4);
  const auto model = test::tiny_model();
  const auto schedule = make_schedule("4");
  const auto t_of = [&](int row) {
    return at::full({images}, schedule.timestep_map.at(static_cast<std::size_t>(row)), at::kLong);
  };
  at::Tensor x = some_noise();
  ASSERT_EQ(steps.size(), 2U);
  for (std::size_t pair = 0; pair < 2; ++pair) {
    const int full = 3 - 2 * static_cast<int>(pair);
    FillRunner fill(units);
    {
      const at::NoGradGuard no_grad;
      const at::Tensor output = model->forward(x, t_of(full), some_labels(), fill);
      x = ddim_step(schedule, full, x, output, 0, {}).sample;
    }
    const auto stored = fill.take();
    const at::Tensor teacher = [&] {
      const at::NoGradGuard no_grad;
      ComputeAllRunner all;
      return model->forward(x, t_of(full - 1), some_labels(), all);
    }();
    const at::AutoGradMode with_gradients(true);
    const at::Tensor& logits = expected.leaves[static_cast<std::size_t>(full - 1)];
    MixingRunner mix(logits.sigmoid(), stored);
    const at::Tensor student = model->forward(x, t_of(full - 1), some_labels(), mix);
    const at::Tensor mse = (teacher - student).narrow(1, 0, 4).square().mean();
    const double weight = error_weight(schedule, full - 1);
    (weight * mse + lambda * logits.sigmoid().sum()).backward();
    const at::NoGradGuard no_grad;
    x = ddim_step(schedule, full - 1, x, student.detach(), 0, {}).sample;
    EXPECT_EQ(steps[pair].row, full - 1);
    EXPECT_EQ(steps[pair].evaluation, 4 - full);
    EXPECT_NEAR(steps[pair].error, weight * mse.item<double>(), 1e-6 * weight * mse.item<double>());
    test::expect_close(rows.leaves[static_cast<std::size_t>(full - 1)].grad(), logits.grad(), 1e-4,
                       "gradient");
    EXPECT_FALSE(rows.leaves[static_cast<std::size_t>(full)].grad().defined());
  }
}

// The sampler with the router and the same recall goes the same way: seen in how far each of its
// steps is from the teacher's.
TEST(RouterTrajectory, WithHardDecisionsIsWhatSamplingDoes) {
  for (const double guidance : {1.0, 3.0}) {
    for (const int group : {0, 2, 3}) {
      const Rows rows(9);
      const auto options = with("taylor:1", true, guidance);
      const auto steps = rows.run("9", group, options);
      const auto model = test::tiny_model();
      const auto schedule = make_schedule("9");
      const Recalling policy(std::make_shared<LearnedRouter>(rows.router(group), 0.5),
                             options.recall);
      std::vector<at::Tensor> x = {some_noise()};
      const DenoiseJob job{
          .model = *model,
          .schedule = schedule,
          .policy = policy,
          .step = [&](int i, int, const at::Tensor& now,
                      const at::Tensor& y) { return ddim_step(schedule, i, now, y, 0, {}); },
          .guidance = {.scale = guidance, .channels = 3},
          .sampler = "ddim",
          .stop = {},
          .observer = [&](const StepView& view) { x.push_back(view.sample.clone()); }};
      (void)denoise(job, some_noise(), some_labels());
      for (const TrajectoryStep& step : steps) {
        if (guidance != 1) continue;  // both halves count there, the sample shows one
        const auto k = static_cast<std::size_t>(step.evaluation);
        ComputeAllRunner all;
        const at::NoGradGuard no_grad;
        const auto t = at::full(
            {images}, schedule.timestep_map.at(static_cast<std::size_t>(step.row)), at::kLong);
        const at::Tensor teacher = model->forward(x[k], t, some_labels(), all);
        const auto after = [&](const at::Tensor& y) {
          return ddim_step(schedule, step.row, x[k], y, 0, {}).sample;
        };
        // A step is affine in the output: its slope turns samples back into outputs.
        const at::Tensor slope = after(at::ones_like(teacher)) - after(at::zeros_like(teacher));
        const double expected = (after(teacher) - x[k + 1]).square().mean().sqrt().item<double>();
        const double mse = step.error / error_weight(schedule, step.row);
        const double seen = (slope.square() * mse).mean().sqrt().item<double>();
        const double rounding = 1e-6 * x[k].abs().max().item<double>();
        EXPECT_NEAR(seen, expected, 1e-3 * expected + rounding)
            << "group " << group << ", step " << k;
      }
      EXPECT_EQ(steps.size(), group == 0 ? 8U : group == 2 ? 4U : 6U);
    }
  }
}

TEST(RouterTrajectory, NothingReusedIsNoError) {
  const Rows rows(6);
  for (const auto& leaf : rows.leaves) {
    const at::NoGradGuard no_grad;
    leaf.fill_(2);
  }
  constexpr double lambda = 0.5;
  for (const auto& step : rows.run("6", 2, with("taylor:1", true), lambda)) {
    EXPECT_LT(step.error, 1e-10) << "but for rounding: the teacher runs on fused kernels";
    const double score = at::sigmoid(at::scalar_tensor(2.0)).item<double>();
    EXPECT_NEAR(step.weight_sum, units * score, 1e-5);
    test::expect_close(rows.leaves[static_cast<std::size_t>(step.row)].grad(),
                       at::full({units}, lambda * score * (1 - score)), 1e-5, "gradient");
  }
}

TEST(RouterTrajectory, EveryOptionChangesTheWay) {
  const auto last_error = [](int group, const TrajectoryOptions& options) {
    return Rows(8).run("8", group, options).back().error;
  };
  const double base = last_error(2, with("latest"));
  EXPECT_NE(base, last_error(2, with("taylor:1")));
  EXPECT_NE(base, last_error(2, with("latest", true)));
  EXPECT_NE(base, last_error(2, with("latest", false, 2)));
  EXPECT_NE(base, last_error(0, with("latest")));
  auto other = with("taylor:1");
  other.threshold = 0.1;
  EXPECT_NE(last_error(0, with("taylor:1")), last_error(0, other)) << "what is kept for later";
}

// Half of the batch has the null label; what the sampler goes on from is guided.
class Recording final : public Denoiser {
 public:
  explicit Recording(std::shared_ptr<const Denoiser> model)
      : changed(model->info()), model_(std::move(model)) {}
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                     BranchRunner& runner) const override {
    seen.push_back({x.detach().clone(), y.clone()});
    return model_->forward(x, t, y, runner);
  }
  [[nodiscard]] const DenoiserInfo& info() const override { return changed; }
  [[nodiscard]] const ForwardCost& cost() const override { return model_->cost(); }
  [[nodiscard]] at::Device device() const override { return model_->device(); }

  struct Call {
    at::Tensor x, y;
  };
  mutable std::vector<Call> seen;
  DenoiserInfo changed;

 private:
  std::shared_ptr<const Denoiser> model_;
};

TEST(RouterTrajectory, GuidedRunsGoTheSamplersWay) {
  const auto schedule = make_schedule("6");
  const Rows rows(6);
  const auto options = with("taylor:1", true, 3);
  const Recording recording(test::tiny_model());
  const std::vector<bool> cache_steps{false, true, false, true, false, true};
  (void)router_trajectory(
      recording, schedule, cache_steps,
      [&](int row) -> const at::Tensor& { return rows.leaves.at(static_cast<std::size_t>(row)); },
      0, some_noise(), some_labels(), options);
  ASSERT_EQ(recording.seen.size(), 9U) << "teacher and student in a cache step";

  const Recalling policy(std::make_shared<LearnedRouter>(rows.router(2), 0.5), options.recall);
  const Recording sampled(test::tiny_model());
  const DenoiseJob job{
      .model = sampled,
      .schedule = schedule,
      .policy = policy,
      .step = [&](int i, int, const at::Tensor& now,
                  const at::Tensor& y) { return ddim_step(schedule, i, now, y, 0, {}); },
      .guidance = {.scale = 3, .channels = 3},
      .sampler = "ddim",
      .stop = {},
      .observer = {}};
  (void)denoise(job, some_noise(), some_labels());
  ASSERT_EQ(sampled.seen.size(), 6U);
  std::size_t call = 0;
  for (std::size_t k = 0; k < 6; ++k) {
    for (int pass = 0; pass < (cache_steps[k] ? 2 : 1); ++pass, ++call) {
      EXPECT_TRUE(at::equal(recording.seen[call].y, sampled.seen[k].y));
      test::expect_close(recording.seen[call].x, sampled.seen[k].x, 1e-4, "x");
    }
  }
}

TEST(RouterTrajectory, RefusesWhatDoesNotFit) {
  const auto schedule = make_schedule("4");
  const Rows rows(4);
  const auto refuses = [&](const std::vector<bool>& cache_steps, const TrajectoryOptions& options,
                           const Denoiser& model, const char* part) {
    const auto call = [&] {
      (void)router_trajectory(
          model, schedule, cache_steps,
          [&](int row) -> const at::Tensor& {
            return rows.leaves.at(static_cast<std::size_t>(row));
          },
          0, some_noise(), some_labels(), options);
    };
    EXPECT_THAT(call, testing::ThrowsMessage<InputError>(testing::HasSubstr(part)));
  };
  const auto model = test::tiny_model();
  refuses({false, true}, with("latest"), *model,
          "cache steps of 2 evaluations, the schedule has 4");
  refuses({true, true, false, true}, with("latest"), *model, "nothing is stored yet");
  auto fitted = with("latest");
  fitted.recall = std::make_shared<FittedRecall>(BranchProducts(5, units), 2);
  refuses({false, true, false, true}, fitted, *model,
          "for 5 evaluations of 8 units, the run has 4 of 8");
  Recording without_null(model);
  without_null.changed.null_label.reset();
  refuses({false, true, false, true}, with("latest", false, 2), without_null,
          "without a null label");
}

}  // namespace
}  // namespace l2c
