#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/pricing.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::ddim_shape;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

ForwardCost equal_cost(int units) {
  ForwardCost cost;
  cost.units.assign(static_cast<std::size_t>(units), BranchMacs{1, 1});
  cost.rest = 1;
  cost.branch_elements = 1;
  return cost;
}

double speedup(const Router& router, double threshold, const RunShape& shape,
               const ForwardCost& cost) {
  return price(*LearnedRouter(router, threshold).plan(shape), cost).ideal_speedup;
}

TEST(ThresholdForSpeedup, IsTheSmallestThatMeetsTheTarget) {
  const Router router = test::random_router(20, 8, 1);
  const RunShape shape = ddim_shape(4, 20);
  const ForwardCost cost = equal_cost(8);
  for (const double target : {1.01, 1.1, 1.25, 1.5, 1.7}) {
    const double threshold = threshold_for_speedup(router, shape, cost, target);
    EXPECT_GE(speedup(router, threshold, shape, cost), target);
    // The float below misses it.
    const float below = std::nextafter(static_cast<float>(threshold), 0.0F);
    EXPECT_LT(speedup(router, static_cast<double>(below), shape, cost), target);
  }
}

TEST(ThresholdForSpeedup, IsAScoreOfARowInUse) {
  // Rows 0 and 2 are cache steps of a run of 4; rows 1 and 3 are never used.
  const Router router(4, 2, {1, 2, -9, -9, 3, 4, -9, -9});
  const RunShape shape = ddim_shape(1, 4);
  const ForwardCost cost = equal_cost(2);  // 12 in full; 11, 10, 9, 8 with 1 to 4 branches reused
  EXPECT_EQ(threshold_for_speedup(router, shape, cost, 12.0 / 11), double{router.score(0, 0)});
  EXPECT_EQ(threshold_for_speedup(router, shape, cost, 12.0 / 10), double{router.score(0, 1)});
  EXPECT_EQ(threshold_for_speedup(router, shape, cost, 1.25), double{router.score(2, 0)});
  EXPECT_EQ(threshold_for_speedup(router, shape, cost, 1.5), double{router.score(2, 1)});
}

TEST(ThresholdForSpeedup, IsZeroWhenZeroMeetsIt) {
  const ForwardCost cost = equal_cost(2);
  EXPECT_EQ(threshold_for_speedup(test::random_router(4, 2, 2), ddim_shape(1, 4), cost, 1), 0);
  // Scores of exactly 0 are reused at threshold 0.
  const Router zero(2, 2, {-200, -200, 0, 0});
  EXPECT_EQ(threshold_for_speedup(zero, ddim_shape(1, 2), cost, 1.4), 0);
}

TEST(ThresholdForSpeedup, SaysWhatItReachesAtMost) {
  const Router router = test::random_router(4, 2, 3, {}, "r.pt");
  EXPECT_THAT(
      message_of<InputError>(
          [&] { threshold_for_speedup(router, ddim_shape(1, 4), equal_cost(2), 1.6); }),
      AllOf(HasSubstr("router r.pt"), HasSubstr("speed-up of 1.6"), HasSubstr("only 1.500")));
}

TEST(ThresholdForSpeedup, RejectsTargetsThatAreNone) {
  const Router router = test::random_router(4, 2, 4);
  for (const double target : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THAT(message_of<InputError>([&] {
                  threshold_for_speedup(router, ddim_shape(1, 4), equal_cost(2), target);
                }),
                HasSubstr("must be a number above 0"));
  }
}

TEST(ThresholdForSpeedup, RejectsARouterForAnotherRun) {
  const Router router = test::random_router(4, 2, 5);
  EXPECT_THAT(message_of<InputError>(
                  [&] { threshold_for_speedup(router, ddim_shape(1, 6), equal_cost(2), 1.1); }),
              HasSubstr("was trained for 4 steps, the run has 6"));
}

}  // namespace
}  // namespace l2c
