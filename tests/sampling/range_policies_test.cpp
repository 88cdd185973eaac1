// Policies that cache ranges of blocks, in whole runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "l2c/cache/delta_dit.h"
#include "l2c/cache/first_block_cache.h"
#include "l2c/cache/fitted_recall.h"
#include "l2c/cache/pricing.h"
#include "l2c/cache/recalling.h"
#include "l2c/cache/store.h"
#include "l2c/cache/tea_cache.h"
#include "l2c/core/error.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/planning.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

Pipeline tiny() { return Pipeline(test::tiny_model()); }

// Five images, guided unless asked otherwise.
Request request(std::shared_ptr<const CachePolicy> policy) {
  Request request;
  request.labels = {1, 7, 3, 0, 9};
  request.seed = 5;
  request.steps = 12;
  request.cache = std::move(policy);
  return request;
}

at::Tensor tensor(const Latents& latents) {
  return at::tensor(at::ArrayRef<float>(latents.values)).reshape(latents.shape);
}

struct Adaptive {
  const char* name;
  std::shared_ptr<const CachePolicy> policy;
};

std::vector<Adaptive> adaptive() {
  // The weights of the tiny model are random: what changes changes much.
  return {{"first-block", std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 1.05})},
          {"TeaCache", std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0.17})}};
}

class RangePolicies : public ::testing::TestWithParam<double> {
 protected:
  Request with(const std::shared_ptr<const CachePolicy>& policy) const {
    auto asked = request(policy);
    asked.guidance = GetParam();
    return asked;
  }
};

// What an image gets, and what is counted, does not depend on what else is in the batch.
TEST_P(RangePolicies, AnImageDecidesForItself) {
  const auto pipeline = tiny();
  for (const auto& [name, policy] : adaptive()) {
    SCOPED_TRACE(name);
    auto asked = with(policy);
    const auto together = pipeline.sample(asked);
    asked.batch_size = 2;
    const auto pairs = pipeline.sample(asked);
    asked.batch_size = 1;
    const auto alone = pipeline.sample(asked);
    EXPECT_LT(test::relative_error(tensor(together.latents), tensor(alone.latents)), 1e-4);
    EXPECT_LT(test::relative_error(tensor(pairs.latents), tensor(alone.latents)), 1e-4);
    EXPECT_EQ(together.stats.computed, alone.stats.computed);
    EXPECT_NEAR(together.stats.ideal_speedup, alone.stats.ideal_speedup, 1e-12);
    EXPECT_NEAR(pairs.stats.ideal_speedup, alone.stats.ideal_speedup, 1e-12);
    EXPECT_GT(alone.stats.ideal_speedup, 1.1);

    // The images' own speed-ups differ, so some batch had to compute a part of its rows.
    std::vector<double> speedups;
    for (const int label : {1, 7, 3, 0, 9}) {
      auto one = asked;
      one.first_image = static_cast<std::int64_t>(speedups.size());
      one.labels = {label};
      speedups.push_back(1 / pipeline.sample(one).stats.ideal_speedup);
    }
    double mean = 0;
    for (const double s : speedups) mean += s / 5;
    EXPECT_NEAR(1 / together.stats.ideal_speedup, mean, 1e-12);
    EXPECT_NE(*std::min_element(speedups.begin(), speedups.end()),
              *std::max_element(speedups.begin(), speedups.end()));
  }
}

TEST_P(RangePolicies, ThresholdZeroIsTheUncachedRunBitForBit) {
  const auto pipeline = tiny();
  const auto uncached = pipeline.sample(with(nullptr));
  const std::vector<std::shared_ptr<const CachePolicy>> nothing{
      std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 0}),
      std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0}),
      std::make_shared<DeltaDiT>(DeltaDiTOptions{.interval = 1})};
  for (const auto& policy : nothing) {
    const auto result = pipeline.sample(with(policy));
    EXPECT_EQ(result.latents.values, uncached.latents.values) << policy->name();
    EXPECT_EQ(result.stats.computed, 12 * 8);
    EXPECT_EQ(result.stats.ideal_speedup, 1);
  }
}

TEST_P(RangePolicies, DeltaDiTRunsWhatItsPlanPrices) {
  const auto pipeline = tiny();
  for (const DeltaDiTOptions& options :
       {DeltaDiTOptions{}, DeltaDiTOptions{.interval = 4, .blocks = 2}}) {
    const auto asked = with(std::make_shared<DeltaDiT>(options));
    const int rows = GetParam() == 1 ? 1 : 2;
    const PlanCost cost = price(pipeline.plan(asked).value(), pipeline.cost(), 4, rows);
    const auto stats = pipeline.sample(asked).stats;
    EXPECT_EQ(stats.computed, cost.computed);
    EXPECT_EQ(stats.reused, cost.reused);
    EXPECT_EQ(stats.cache_step_branches, cost.cache_step_branches);
    EXPECT_NEAR(stats.ideal_speedup, cost.ideal_speedup, 1e-12);
    EXPECT_EQ(stats.cache_bytes, cost.cache_bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Guidance, RangePolicies, ::testing::Values(1.0, 4.0),
                         [](const auto& param) { return param.param == 1 ? "off" : "on"; });

// What ranges of blocks add can be forecast, too.
TEST_P(RangePolicies, TakeARecall) {
  const auto pipeline = tiny();
  std::vector<std::shared_ptr<const CachePolicy>> policies;
  for (const auto& [name, policy] : adaptive()) policies.push_back(policy);
  policies.push_back(std::make_shared<DeltaDiT>(DeltaDiTOptions{.interval = 3}));
  for (const auto& policy : policies) {
    SCOPED_TRACE(policy->name());
    const auto plain = pipeline.sample(with(policy));
    const auto latest = std::make_shared<Recalling>(policy, std::make_shared<Latest>());
    EXPECT_EQ(pipeline.sample(with(latest)).latents.values, plain.latents.values);
    const auto taylor = std::make_shared<Recalling>(policy, std::make_shared<Taylor>(1));
    const auto forecast = pipeline.sample(with(taylor));
    EXPECT_NE(forecast.latents.values, plain.latents.values);
    EXPECT_GT(forecast.stats.cache_bytes, plain.stats.cache_bytes);
    if (const auto plan = pipeline.plan(with(taylor))) {
      EXPECT_LE(forecast.stats.cache_bytes,
                price(*plan, pipeline.cost(), 4, GetParam() == 1 ? 1 : 2).cache_bytes);
    }
    const BranchProducts products(12, 8);
    const auto fitted =
        std::make_shared<Recalling>(policy, std::make_shared<FittedRecall>(products, 2));
    EXPECT_THAT(
        [&] { (void)pipeline.sample(with(fitted)); },
        testing::ThrowsMessage<InputError>(testing::HasSubstr("fitted to single branches")));
  }
}

// Asked before anything is run.
TEST(RangePoliciesStart, RefusesARecallOfBranches) {
  const auto shape = plan_shape(4, "12", {}, "ddim");
  CacheStore store(1, 16, 64, at::kFloat);
  const FittedRecall fitted(BranchProducts(12, 8), 2);
  auto policies = adaptive();
  policies.push_back({"DeltaDiT", std::make_shared<DeltaDiT>(DeltaDiTOptions{.interval = 3})});
  for (const auto& one : policies) {
    SCOPED_TRACE(one.name);
    const auto start = [&] { (void)one.policy->start(shape, store, &fitted); };
    EXPECT_THAT(
        start, testing::ThrowsMessage<InputError>(testing::HasSubstr("fitted to single branches")));
  }
}

TEST(RangePoliciesProgress, CountsTheMeanImage) {
  const auto pipeline = tiny();
  const auto asked = request(adaptive()[0].policy);
  int last = 0;
  const auto result = pipeline.sample(asked, [&](const Progress& progress) {
    if (progress.phase == Phase::denoise) last = progress.reused;
  });
  EXPECT_EQ(last, result.stats.reused);
}

}  // namespace
}  // namespace l2c
