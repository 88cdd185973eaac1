#include "conditions.h"

#include <gtest/gtest.h>

namespace l2c {
namespace {

TEST(Conditions, RowsWithTimestepAndLabelInCommonAreOne) {
  const auto t = at::tensor({500.0F, 500.0F, 499.5F, 500.0F, 500.0F});
  const auto y = at::tensor({3, 10, 3, 10, 3}, at::kLong);
  const auto conditions = distinct_conditions(t, y);
  EXPECT_TRUE(at::equal(conditions.t, at::tensor({500.0F, 500.0F, 499.5F})));
  EXPECT_TRUE(at::equal(conditions.y, at::tensor({3, 10, 3}, at::kLong)));
  ASSERT_TRUE(conditions.rows.defined());
  EXPECT_TRUE(at::equal(conditions.rows, at::tensor({0, 1, 2, 1, 0}, at::kLong)));
  const auto values = at::tensor({1.0F, 2.0F, 3.0F}).view({3, 1});
  EXPECT_TRUE(at::equal(conditions.spread(values),
                        at::tensor({1.0F, 2.0F, 3.0F, 2.0F, 1.0F}).view({5, 1})));
}

TEST(Conditions, DistinctRowsStayAsTheyAre) {
  const auto t = at::tensor({1, 2}, at::kLong);
  const auto y = at::tensor({7, 7}, at::kLong);
  const auto conditions = distinct_conditions(t, y);
  EXPECT_FALSE(conditions.rows.defined());
  EXPECT_TRUE(conditions.t.is_same(t));
  EXPECT_TRUE(conditions.spread(t).is_same(t));
}

}  // namespace
}  // namespace l2c
