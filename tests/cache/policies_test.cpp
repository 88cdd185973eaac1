#include "l2c/cache/policies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cache/support.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::ddim_shape;
using test::message_of;
using test::random_router;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string plan_message(const CachePolicy& policy, const RunShape& shape) {
  return message_of<InputError>([&] { (void)policy.plan(shape); });
}

TEST(ComputeAllTest, ReusesNothing) {
  const CachePlan plan = *ComputeAll().plan(ddim_shape(3, 5));
  EXPECT_EQ(plan, CachePlan(5, 6));
  EXPECT_EQ(plan.computed(), 30);
}

TEST(EveryNTest, ComputesEveryNthEvaluation) {
  const CachePlan plan = *EveryN(3).plan(ddim_shape(2, 8));
  EXPECT_EQ(plan.reused(), 5 * 4);  // evaluations 1, 2, 4, 5 and 7
  EXPECT_EQ(plan.cache_step_branches(), 5 * 4);
  for (int k = 0; k < 8; ++k) {
    for (int unit = 0; unit < 4; ++unit) EXPECT_EQ(plan.computes(k, unit), k % 3 == 0) << k;
  }
  EXPECT_EQ(EveryN(2).plan(ddim_shape(2, 20))->reused(), 10 * 4);
}

TEST(EveryNTest, OneComputesEverything) {
  EXPECT_EQ(*EveryN(1).plan(ddim_shape(2, 6)), CachePlan(6, 4));
}

TEST(EveryNTest, MoreThanTheRunComputesTheFirstEvaluationOnly) {
  EXPECT_EQ(EveryN(100).plan(ddim_shape(2, 6))->computed(), 4);
}

// TaylorSeer's full steps: 50 steps, interval 4, first_enhance 2.
TEST(EveryNTest, WarmsUp) {
  const CachePlan plan = *EveryN(4, 2).plan(ddim_shape(1, 12));
  std::vector<int> full;
  for (int k = 0; k < 12; ++k) {
    if (plan.computes(k, 0)) full.push_back(k);
    EXPECT_EQ(plan.computes(k, 0), !plan.cache_step(k));
  }
  EXPECT_EQ(full, (std::vector<int>{0, 1, 5, 9}));
  EXPECT_EQ(EveryN(4, 2).name(), "every 4 after 2");
  EXPECT_EQ(*EveryN(3, 1).plan(ddim_shape(2, 8)), *EveryN(3).plan(ddim_shape(2, 8)));
  EXPECT_EQ(EveryN(2, 100).plan(ddim_shape(2, 6))->reused(), 0);
  EXPECT_THAT(message_of<InputError>([] { EveryN(2, 0); }), HasSubstr("0 evaluations to warm up"));
}

TEST(EveryNTest, RejectsNBelowOne) {
  EXPECT_THAT(message_of<InputError>([] { EveryN(0); }), HasSubstr("N must be at least 1"));
  EXPECT_THAT(message_of<InputError>([] { EveryN(-2); }), HasSubstr("-2"));
}

TEST(LearnedRouterTest, EvenRowsAreCacheStepsAndUseTheirOwnRow) {
  const Router router = random_router(6, 4, 1);
  const CachePlan plan = *LearnedRouter(router, 0.5).plan(ddim_shape(2, 6));
  for (int k = 0; k < 6; ++k) {
    const int row = 5 - k;
    EXPECT_EQ(plan.cache_step(k), row % 2 == 0);
    for (int unit = 0; unit < 4; ++unit) {
      EXPECT_EQ(plan.computes(k, unit), row % 2 == 1 || router.logit(row, unit) > 0);
    }
  }
}

TEST(LearnedRouterTest, TheFirstEvaluationIsFullWhateverItsRow) {
  const CachePlan plan = *LearnedRouter(random_router(5, 4, 2), 1).plan(ddim_shape(2, 5));
  EXPECT_FALSE(plan.cache_step(0));  // row 4
  EXPECT_FALSE(plan.cache_step(1));  // row 3
  EXPECT_TRUE(plan.cache_step(2));
  EXPECT_TRUE(plan.cache_step(4));
  EXPECT_EQ(plan.reused(), 2 * 4);
}

TEST(LearnedRouterTest, ThresholdExtremes) {
  const Router router = random_router(20, 8, 3);
  const RunShape shape = ddim_shape(4, 20);
  const CachePlan none = *LearnedRouter(router, 0).plan(shape);
  EXPECT_EQ(none.reused(), 0);
  EXPECT_EQ(none.cache_step_branches(), 80);
  EXPECT_EQ(LearnedRouter(router, 1).plan(shape)->reused(), 80);
}

TEST(LearnedRouterTest, EqualityReusesAndTheThresholdIsAFloat) {
  // sigmoid(0) is 0.5 exactly. A double just below 0.5 rounds to the float 0.5: still reused.
  const Router router(2, 2, {0, 0, 0, 0});
  const RunShape shape = ddim_shape(1, 2);
  EXPECT_EQ(LearnedRouter(router, 0.5).plan(shape)->reused(), 2);
  EXPECT_EQ(LearnedRouter(router, std::nextafter(0.5, 0.0)).plan(shape)->reused(), 2);
  EXPECT_EQ(LearnedRouter(router, std::nextafter(0.5F, 0.0F)).plan(shape)->reused(), 0);
}

TEST(LearnedRouterTest, ALargerThresholdReusesNoLess) {
  const Router router = random_router(20, 8, 4);
  int before = 0;
  for (double threshold = 0; threshold <= 1; threshold += 0.05) {
    const int reused = LearnedRouter(router, threshold).plan(ddim_shape(4, 20))->reused();
    EXPECT_GE(reused, before);
    before = reused;
  }
  EXPECT_GT(before, 0);
}

TEST(LearnedRouterTest, NameSaysFileAndThreshold) {
  const LearnedRouter policy(random_router(2, 2, 5, {}, "/some/where/fast.pt"), 0.1);
  EXPECT_EQ(policy.name(), "learned router fast.pt, threshold 0.1");
  EXPECT_EQ(policy.threshold(), 0.1);
  EXPECT_EQ(policy.router().source(), "/some/where/fast.pt");
}

TEST(LearnedRouterTest, RejectsThresholdsOutsideZeroToOne) {
  const Router router = random_router(2, 2, 6);
  for (const double threshold : {-0.1, 1.5, std::numeric_limits<double>::quiet_NaN(),
                                 std::numeric_limits<double>::infinity()}) {
    EXPECT_THAT(message_of<InputError>([&] { LearnedRouter(router, threshold); }),
                HasSubstr("must be between 0 and 1"));
  }
  EXPECT_THAT(message_of<InputError>([&] { LearnedRouter(router, 1.5); }), HasSubstr("not 1.5"));
}

TEST(LearnedRouterTest, RejectsARouterOfAnotherDepth) {
  const LearnedRouter policy(random_router(20, 56, 7, {}, "xl.pt"), 0.1);
  EXPECT_THAT(plan_message(policy, ddim_shape(12, 20)),
              HasSubstr("router xl.pt is for 28 blocks (56 units), the model has 12 (24 units)"));
}

TEST(LearnedRouterTest, RejectsAnotherNumberOfSteps) {
  const LearnedRouter policy(random_router(20, 8, 8, {}, "r.pt"), 0.1);
  EXPECT_THAT(plan_message(policy, ddim_shape(4, 50)),
              HasSubstr("router r.pt was trained for 20 steps, the run has 50: use --steps 20 or a "
                        "router trained for 50"));
}

TEST(LearnedRouterTest, RejectsAnotherSpacing) {
  RouterInfo info;
  info.spacing = "ddim20";
  const LearnedRouter policy(random_router(20, 8, 9, info, "r.safetensors"), 0.1);
  EXPECT_THAT(plan_message(policy, ddim_shape(4, 20)),
              AllOf(HasSubstr("router r.safetensors"), HasSubstr("spacing \"ddim20\""),
                    HasSubstr("those of \"20\"")));
  EXPECT_EQ(policy.plan(ddim_shape(4, 20, "ddim20"))->evaluations(), 20);
}

TEST(LearnedRouterTest, ARouterThatSaysNothingFitsAnySpacing) {
  const LearnedRouter policy(random_router(20, 8, 10), 0.1);
  EXPECT_EQ(*policy.plan(ddim_shape(4, 20, "20")), *policy.plan(ddim_shape(4, 20, "ddim20")));
}

TEST(LearnedRouterTest, RejectsAnotherSampler) {
  RouterInfo info;
  info.sampler = "ddim";
  const LearnedRouter policy(random_router(20, 8, 11, info, "r.pt"), 0.1);
  RunShape shape = ddim_shape(4, 20);
  shape.sampler = "ddpm";
  EXPECT_THAT(plan_message(policy, shape),
              HasSubstr("router r.pt was trained for the sampler ddim, the run uses ddpm"));
}

TEST(LearnedRouterTest, RejectsAnotherModel) {
  RouterInfo info;
  info.model_fingerprint = "aaaa";
  const LearnedRouter policy(random_router(20, 8, 12, info, "r.pt"), 0.1);
  RunShape shape = ddim_shape(4, 20);
  shape.fingerprint = "bbbb";
  EXPECT_THAT(plan_message(policy, shape),
              AllOf(HasSubstr("router r.pt"), HasSubstr("fingerprint aaaa"),
                    HasSubstr("this model's is bbbb")));
  shape.fingerprint = "";  // planning without weights
  EXPECT_EQ(policy.plan(shape)->evaluations(), 20);
  shape.fingerprint = "aaaa";
  EXPECT_EQ(policy.plan(shape)->evaluations(), 20);
}

TEST(LearnedRouterTest, RejectsEvaluationsWithoutARow) {
  const LearnedRouter policy(random_router(4, 2, 13, {}, "r.pt"), 0.1);
  RunShape shape = ddim_shape(1, 4);
  shape.evaluations[2].row = -1;
  EXPECT_THAT(plan_message(policy, shape),
              AllOf(HasSubstr("evaluation 2 of the run has no spaced timestep index"),
                    HasSubstr("router r.pt")));
  shape.evaluations[2].row = 4;
  EXPECT_THAT(plan_message(policy, shape),
              AllOf(HasSubstr("evaluation 2"), HasSubstr("index 4"), HasSubstr("rows 0 to 3")));
}

}  // namespace
}  // namespace l2c
