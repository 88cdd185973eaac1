// What depends on timestep and label alone is made for several steps at a time.
#include "conditions_ahead.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/diffusion/steps.h"
#include "l2c/sampling/denoise.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

// Counts how the model is called.
class Counting final : public Denoiser {
 public:
  explicit Counting(std::shared_ptr<const Denoiser> model) : model_(std::move(model)) {}
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                     BranchRunner& runner) const override {
    ++whole;
    return model_->forward(x, t, y, runner);
  }
  at::Tensor conditions(const at::Tensor& t, const at::Tensor& y) const override {
    rows.push_back(t.size(0));
    return model_->conditions(t, y);
  }
  std::int64_t conditions_width() const override { return model_->conditions_width(); }
  at::Tensor forward_conditioned(const at::Tensor& x, const at::Tensor& conditions,
                                 BranchRunner& runner) const override {
    ++conditioned;
    return model_->forward_conditioned(x, conditions, runner);
  }
  const DenoiserInfo& info() const override { return model_->info(); }
  const ForwardCost& cost() const override { return model_->cost(); }
  at::Device device() const override { return model_->device(); }
  at::ScalarType branch_dtype() const override { return model_->branch_dtype(); }

  mutable int whole = 0, conditioned = 0;
  mutable std::vector<std::int64_t> rows;  // of each call of conditions()

 private:
  std::shared_ptr<const Denoiser> model_;
};

std::shared_ptr<const DiT> prepared(at::ScalarType products) {
  return DiT::load(test::tiny_config(), test::tiny_checkpoint(), at::kCPU, products);
}

at::Tensor latents(const Denoiser& model, std::int64_t conditions_bytes) {
  const Schedule schedule = make_schedule("10");
  const EveryN every_third(3);
  const DenoiseJob job{
      .model = model,
      .schedule = schedule,
      .policy = every_third,
      .step = [&](int i, int /*evaluation*/, const at::Tensor& x,
                  const at::Tensor& output) { return ddim_step(schedule, i, x, output, 0, {}); },
      .guidance = {.scale = 4, .channels = 3},
      .sampler = "ddim",
      .stop = {},
      .observer = {},
      .conditions_bytes = conditions_bytes};
  at::manual_seed(5);
  return denoise(job, at::randn({3, 4, 8, 8}), at::tensor({7, 2, 7}, at::kLong)).latents;
}

TEST(ConditionsAhead, GiveTheSameImagesHoweverManyAreMadeAtATime) {
  for (const auto products : {at::kFloat, at::kBFloat16}) {
    const auto model = prepared(products);
    const std::int64_t one_call = 6 * model->conditions_width() * 4;
    Counting alone(model);
    const auto expected = latents(alone, 0);
    EXPECT_EQ(alone.rows, std::vector<std::int64_t>(10, 6)) << "one call at a time";
    Counting some(model);
    test::expect_equal(latents(some, 4 * one_call + 1), expected, "four calls at a time");
    // Ten calls in three parts of equal size.
    EXPECT_EQ(some.rows, (std::vector<std::int64_t>{24, 24, 24}));
    Counting all(model);
    test::expect_equal(latents(all, most_conditions_bytes), expected, "all calls");
    EXPECT_EQ(all.rows, (std::vector<std::int64_t>{60}));
    EXPECT_EQ(all.conditioned, 10);
    EXPECT_EQ(all.whole, 0);
  }
}

// A large batch gains nothing, and would hold much.
TEST(ConditionsAhead, AreMadeForAsManyStepsAsPays) {
  const c10::InferenceMode inference;
  Counting model(prepared(at::kFloat));
  const auto shape = run_shape(model.info().blocks, make_schedule("10"), "ddim");
  for (const std::int64_t rows : {2, 16, 33, 64, 100}) {
    model.rows.clear();
    const auto labels = at::full({rows}, 3, at::kLong);
    ConditionsAhead ahead(model, labels, shape.evaluations, most_conditions_bytes);
    for (const Evaluation& evaluation : shape.evaluations) (void)ahead.of(evaluation);
    const std::int64_t together = rows == 2 ? 10 : rows == 16 ? 4 : 1;
    const auto calls = static_cast<std::size_t>((10 + together - 1) / together);
    EXPECT_EQ(model.rows, std::vector<std::int64_t>(calls, together * rows)) << rows;
  }
}

TEST(ConditionsAhead, AModelThatHasNoneMakesThemItself) {
  Counting plain(DiT::load(test::tiny_config(), test::tiny_checkpoint()));
  const auto output = latents(plain, most_conditions_bytes);
  EXPECT_EQ(plain.whole, 10);
  EXPECT_TRUE(plain.rows.empty());
  test::expect_close(latents(*prepared(at::kFloat), most_conditions_bytes), output, 1e-4,
                     "the same images");
}

TEST(ConditionsAhead, ServeEvaluationsInAnyOrder) {
  const c10::InferenceMode inference;
  const auto model = prepared(at::kFloat);
  const auto shape = run_shape(model->info().blocks, make_schedule("10"), "ddim");
  const auto labels = at::tensor({7, 2}, at::kLong);
  ConditionsAhead ahead(*model, labels, shape.evaluations, 4 * 2 * model->conditions_width() * 4);
  for (const std::size_t index : {0, 3, 2, 9, 9, 1, 8}) {
    const Evaluation& evaluation = shape.evaluations[index];
    test::expect_equal(ahead.of(evaluation),
                       model->conditions(at::full({2}, evaluation.time, at::kFloat), labels),
                       "conditions of one evaluation");
  }
}

}  // namespace
}  // namespace l2c
