// Guidance within a range of timesteps, against loops written out here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "l2c/cache/delta_dit.h"
#include "l2c/cache/first_block_cache.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/recalling.h"
#include "l2c/cache/tea_cache.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/guidance.h"
#include "l2c/diffusion/noise.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/diffusion/steps.h"
#include "l2c/sampling/denoise.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/planning.h"
#include "l2c/sampling/tensors.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int kSteps = 10;                                 // timesteps 999, 888, ..., 0
constexpr TimestepRange kMiddle{.low = 200, .high = 700};  // guided: evaluations 3 to 7

Request request(std::shared_ptr<const CachePolicy> policy = nullptr) {
  Request request;
  request.labels = {1, 7, 3};
  request.seed = 5;
  request.steps = kSteps;
  request.guidance_range = kMiddle;
  request.cache = std::move(policy);
  return request;
}

// Keeps whole branch values by hand, and forgets them all when rows change.
class OwnCache final : public BranchRunner {
 public:
  explicit OwnCache(std::function<bool(int evaluation)> computes)
      : computes_(std::move(computes)) {}
  void begin(int evaluation, std::int64_t rows) {
    if (rows != rows_) kept_.clear();
    rows_ = rows;
    computing_ = kept_.empty() || computes_(evaluation);
  }
  [[nodiscard]] bool computing() const { return computing_; }
  BranchValue branch(BranchId id, BranchFunction compute) override {
    if (computing_) kept_[id.unit()] = compute({}).clone();
    return single(kept_.at(id.unit()));
  }

 private:
  std::function<bool(int)> computes_;
  std::map<int, at::Tensor> kept_;
  std::int64_t rows_ = 0;
  bool computing_ = true;
};

struct Expected {
  at::Tensor latents;
  int computed = 0;  // evaluations
};

Expected by_hand(const Denoiser& model, const Request& asked, std::function<bool(int)> computes) {
  const c10::InferenceMode no_autograd;
  const auto schedule = make_schedule(std::to_string(kSteps));
  const auto images = static_cast<std::int64_t>(asked.labels.size());
  std::vector<at::Tensor> noise;
  for (std::int64_t i = 0; i < images; ++i)
    noise.push_back(philox_normal(asked.seed, i, -1, {4, 8, 8}));
  at::Tensor x = at::stack(noise);
  const at::Tensor labels = at::tensor(at::ArrayRef<int>(asked.labels)).to(at::kLong);
  const at::Tensor both =
      at::cat({labels, at::full({images}, *model.info().null_label, at::kLong)});
  OwnCache cache(std::move(computes));
  Expected expected;
  for (int k = 0; k < kSteps; ++k) {
    const int row = kSteps - 1 - k;
    const double t = schedule.timestep_map[static_cast<std::size_t>(row)];
    const bool guided = asked.guidance_range.low <= t && t < asked.guidance_range.high;
    const auto rows = guided ? 2 * images : images;
    cache.begin(k, rows);
    expected.computed += cache.computing() ? 1 : 0;
    at::Tensor output = model.forward(guided ? at::cat({x, x}) : x, at::full({rows}, t),
                                      guided ? both : labels, cache);
    if (guided) output = guide(output, asked.guidance, 3);
    x = ddim_step(schedule, row, x, output, 0, {}).sample;
  }
  expected.latents = x.clone();
  return expected;
}

TEST(GuidanceRange, GuidesInsideAndRunsOneRowAnImageOutside) {
  const auto model = test::tiny_model();
  const auto expected = by_hand(*model, request(), [](int) { return true; });
  const auto result = Pipeline(model).sample(request());
  EXPECT_LT(test::relative_error(to_tensor(result.latents), expected.latents), 1e-5);
}

TEST(GuidanceRange, AWholeRangeIsNoRange) {
  const Pipeline pipeline(test::tiny_model());
  auto asked = request(std::make_shared<EveryN>(3));
  asked.guidance_range = {};
  const auto whole = pipeline.sample(asked);
  asked.guidance_range = {.low = 0, .high = 999.5};
  EXPECT_EQ(pipeline.sample(asked).latents.values, whole.latents.values);
  asked.guidance_range = kMiddle;
  EXPECT_NE(pipeline.sample(asked).latents.values, whole.latents.values);
}

class ReuseInAGuidanceRange : public testing::TestWithParam<int> {};

TEST_P(ReuseInAGuidanceRange, BeginsAnewWhereTheRowsChange) {
  const auto model = test::tiny_model();
  const int n = GetParam();
  const auto asked = request(std::make_shared<EveryN>(n));
  const auto expected = by_hand(*model, asked, [n](int k) { return k % n == 0; });
  const auto result = Pipeline(model).sample(asked);
  EXPECT_LT(test::relative_error(to_tensor(result.latents), expected.latents), 1e-5);
  const int units = 2 * model->info().blocks;
  EXPECT_EQ(result.stats.computed, units * expected.computed);
  EXPECT_EQ(result.stats.reused, units * (kSteps - expected.computed));
  EXPECT_EQ(Pipeline(model).plan(asked)->computed(), result.stats.computed);
}

INSTANTIATE_TEST_SUITE_P(Every, ReuseInAGuidanceRange, testing::Values(2, 3, 4, 9));

TEST(GuidanceRange, ForecastsLookBackToItsEndOnly) {
  const auto model = test::tiny_model();
  const auto asked =
      request(std::make_shared<Recalling>(std::make_shared<EveryN>(2), parse_recall("taylor:2")));
  const auto plan = Pipeline(model).plan(asked).value();
  std::vector<int> computed;
  for (int k = 0; k < kSteps; ++k) {
    if (plan.computes(k, 0)) computed.push_back(k);
    for (const auto& term : plan.terms(k, 0)) {
      const int begin = k < 3 ? 0 : k < 8 ? 3 : 8;
      EXPECT_GE(term.evaluation, begin) << k;
    }
  }
  EXPECT_THAT(computed, ElementsAre(0, 2, 3, 4, 6, 8));
  EXPECT_FALSE(plan.cache_step(3));
  EXPECT_EQ(Pipeline(model).sample(asked).stats.computed, plan.computed());
}

TEST(GuidanceRange, PoliciesThatCacheRangesOfBlocksBeginAnew) {
  const Pipeline pipeline(test::tiny_model());
  const int units = 2 * pipeline.summary().blocks;
  // Ever nearer to never computing: what is computed is what has to be.
  const std::vector<std::pair<std::shared_ptr<const CachePolicy>, int>> cases{
      {std::make_shared<DeltaDiT>(DeltaDiTOptions{.interval = 100, .blocks = 2}),
       3 * units + 7 * (units - 4)},
      {std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 1e9}), 4 * units},
      {std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 1e9}), 3 * units + 7 * 2}};
  for (const auto& [policy, computed] : cases) {
    EXPECT_EQ(pipeline.sample(request(policy)).stats.computed, computed) << policy->name();
  }
}

TEST(GuidanceRange, TheIdealSpeedupCountsRows) {
  const Pipeline pipeline(test::tiny_model());
  // Computes all but evaluations 1 and 2, of one row an image; then all but 4 and 5, of two.
  class Leave final : public CachePolicy {
   public:
    explicit Leave(int first) : first_(first) {}
    [[nodiscard]] std::string name() const override { return "leave two"; }
    [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override {
      CachePlan plan(kSteps, shape.units());
      for (int k = first_; k < first_ + 2; ++k) {
        for (int unit = 0; unit < shape.units(); ++unit) plan.reuse(k, unit);
      }
      return plan;
    }

   private:
    int first_;
  };
  const auto one_row = pipeline.sample(request(std::make_shared<Leave>(1))).stats;
  const auto two_rows = pipeline.sample(request(std::make_shared<Leave>(4))).stats;
  EXPECT_EQ(one_row.computed, two_rows.computed);
  const auto& cost = pipeline.cost();
  const double all = 15 * cost.total().truth;  // five evaluations of one row, five of two
  const double left = cost.total().truth - cost.rest;
  EXPECT_NEAR(one_row.ideal_speedup, all / (all - 2 * left), 1e-9);
  EXPECT_NEAR(two_rows.ideal_speedup, all / (all - 4 * left), 1e-9);
}

TEST(GuidanceRange, RowsOfARun) {
  auto asked = request();
  EXPECT_EQ(rows_of_run(asked), 15);
  asked.guidance = 1;
  EXPECT_EQ(rows_of_run(asked), 10);
  asked.guidance = 4;
  asked.guidance_range = {};
  EXPECT_EQ(rows_of_run(asked), 20);
}

TEST(GuidanceRange, RangesThatMakeNoSenseAreRefused) {
  const Pipeline pipeline(test::tiny_model());
  const auto sample = [&](double low, double high) {
    return [&pipeline, low, high] {
      auto asked = request();
      asked.guidance_range = {.low = low, .high = high};
      (void)pipeline.sample(asked);
    };
  };
  EXPECT_THAT(sample(700, 200), ThrowsMessage<InputError>(HasSubstr("guidance range 700 to 200")));
  EXPECT_THAT(sample(-1, 200), ThrowsMessage<InputError>(HasSubstr("guidance range -1 to 200")));
  EXPECT_THAT(sample(NAN, 200), ThrowsMessage<InputError>(HasSubstr("guidance range nan")));
  EXPECT_THAT(sample(1, 100), ThrowsMessage<InputError>(HasSubstr("they go from 0 to 999")));
  auto asked = request();
  asked.guidance_range = {.low = 1, .high = 100};
  EXPECT_THAT([&] { (void)pipeline.plan(asked); },
              ThrowsMessage<InputError>(HasSubstr("they go from 0 to 999")));
}

}  // namespace
}  // namespace l2c
