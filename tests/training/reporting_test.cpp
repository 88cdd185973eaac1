#include "reporting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "l2c/core/error.h"

namespace l2c {
namespace {

TEST(LossSums, MeansComeBackFromATensor) {
  LossSums sums;
  sums.add({1, 2, 3});
  sums.add({3, 6, 9});
  LossSums back;
  back.from_tensor(sums.to_tensor());
  EXPECT_EQ(back.count(), 2);
  EXPECT_EQ(back.mean(), (std::array<double, 3>{2, 4, 6}));
  EXPECT_THAT([&] { back.from_tensor(at::zeros({3}, at::kDouble)); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("4 entries")));
}

TEST(ProgressReporter, CountsFromWhereTheRunStarts) {
  Curve curve({"step", "loss"});
  std::vector<TrainingProgress> rows;
  ProgressReporter reporter([&](const TrainingProgress& row) { rows.push_back(row); }, 10, 4);
  curve.add({12, 0.5});
  reporter(12, 100, curve);
  curve.add({15, 0.25});
  reporter(15, 100, curve);
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[1].step, 15);
  EXPECT_EQ(rows[1].of, 100);
  EXPECT_EQ(rows[1].resumed_from, 10);
  EXPECT_EQ(rows[1].values, (decltype(rows[1].values){{"loss", 0.25}}));
  EXPECT_NEAR(rows[0].samples_per_second * rows[0].elapsed_seconds, 8, 1e-6);
  EXPECT_NO_THROW(ProgressReporter({}, 0, 1)(1, 2, curve));
}

}  // namespace
}  // namespace l2c
