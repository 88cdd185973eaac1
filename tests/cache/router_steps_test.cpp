#include "l2c/cache/router_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::message_of;
using ::testing::HasSubstr;

RunShape shape_of(int steps) {
  auto shape = test::ddim_shape(1, steps, std::to_string(steps));
  for (Evaluation& evaluation : shape.evaluations) {
    evaluation.time = 999.0 * evaluation.row / (steps - 1);
  }
  return shape;
}

// 4 steps at 0, 333, 666 and 999; rows 0 and 2 are cache steps.
TEST(RouterSteps, LogitsOfCacheStepsAreInterpolatedOverTime) {
  const Router router(4, 2, {1, -1, 90, 90, 3, -5, 90, 90}, {.threshold = 0.3});
  const auto carried = router_for(router, shape_of(7));
  EXPECT_EQ(carried.rows(), 7);
  EXPECT_EQ(carried.info().threshold, 0.3);
  EXPECT_EQ(carried.info().spacing, "7");
  EXPECT_FLOAT_EQ(carried.logit(0, 0), 1);
  EXPECT_FLOAT_EQ(carried.logit(2, 0), 2) << "at 333, half way";
  EXPECT_FLOAT_EQ(carried.logit(2, 1), -3);
  EXPECT_FLOAT_EQ(carried.logit(4, 1), -5);
  EXPECT_FLOAT_EQ(carried.logit(6, 1), -5) << "beyond the last one";
}

TEST(RouterSteps, ToItsOwnStepsCacheStepsStay) {
  const Router router = test::random_router(6, 2, 3);
  const auto carried = router_for(router, shape_of(6));
  for (const int row : {0, 2, 4}) EXPECT_FLOAT_EQ(carried.logit(row, 1), router.logit(row, 1));
  EXPECT_EQ(*LearnedRouter(carried, 0.5).plan(shape_of(6)),
            *LearnedRouter(router, 0.5).plan(test::ddim_shape(1, 6)));
}

TEST(RouterSteps, ToItsOwnScheduleNothingIsCarried) {
  const Router router = test::random_router(6, 2, 3, {.spacing = "6", .training = "so"});
  const auto same = router_for(router, shape_of(6));
  EXPECT_EQ(same.fingerprint(), router.fingerprint());
  EXPECT_EQ(same.info(), router.info());
  const auto other = router_for(test::random_router(6, 2, 3, {.spacing = "ddim6"}), shape_of(6));
  EXPECT_THAT(other.info().training, HasSubstr("carried from 6 to 6 steps"));
}

TEST(RouterSteps, RefusesWhatCannotBeCarried) {
  EXPECT_THAT(
      message_of<InputError>([] { (void)router_for(test::random_router(4, 4, 1), shape_of(6)); }),
      HasSubstr("is for 4 units, the model has 2"));
  EXPECT_THAT(
      message_of<InputError>([] { (void)router_for(test::random_router(1, 2, 1), shape_of(6)); }),
      HasSubstr("has no cache step"));
}

}  // namespace
}  // namespace l2c
