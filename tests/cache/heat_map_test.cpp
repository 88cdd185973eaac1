#include "l2c/cache/heat_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "cache/support.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

// Scores 0.88, 0.50 (logit 0), 0.12 and 0.007 in each row.
Router make_router(int rows) {
  std::vector<float> logits;
  for (int row = 0; row < rows; ++row) logits.insert(logits.end(), {2, 0, -2, -5});
  return {rows, 4, logits};
}

std::vector<int> colour(io::Bitmap& bitmap, int row, int column) {
  const auto* pixel = bitmap.at(row, column);
  return {pixel[0], pixel[1], pixel[2]};
}

// The corner and the centre of a cell: row counted from the top.
struct Cell {
  std::vector<int> corner, centre;
};
Cell cell(io::Bitmap& bitmap, int row, int unit) {
  const int top = 6 + 13 * row;
  const int left = 6 + 13 * unit + 3 * (unit / 2);
  return {colour(bitmap, top, left), colour(bitmap, top + 6, left + 6)};
}

io::Bitmap draw(int rows, double threshold) {
  return draw_router({make_router(rows), threshold}, test::ddim_shape(2, rows));
}

const std::vector<int> full{224, 224, 224};
const std::vector<int> reused{38, 52, 71};

TEST(HeatMap, RowsStandWithTheNoisiestOnTop) {
  auto bitmap = draw(4, 0.5);
  EXPECT_EQ(bitmap.channels, 3);
  EXPECT_EQ(bitmap.height, 2 * 6 + 4 * 13 - 1);
  EXPECT_EQ(bitmap.width, 2 * 6 + 4 * 13 - 1 + 3);
  EXPECT_EQ(cell(bitmap, 0, 0).corner, full);  // row 3
  EXPECT_NE(cell(bitmap, 1, 0).corner, full);  // row 2
  EXPECT_EQ(cell(bitmap, 2, 0).corner, full);  // row 1
  EXPECT_NE(cell(bitmap, 3, 0).corner, full);  // row 0
}

TEST(HeatMap, ReuseFollowsTheThresholdWithEqualityReused) {
  auto bitmap = draw(2, 0.5);
  EXPECT_NE(cell(bitmap, 1, 0).corner, reused);
  EXPECT_EQ(cell(bitmap, 1, 1).corner, reused);
  EXPECT_EQ(cell(bitmap, 1, 2).corner, reused);
  auto low = draw(2, 0.1);
  EXPECT_NE(cell(low, 1, 2).corner, reused);
  EXPECT_EQ(cell(low, 1, 3).corner, reused);
}

TEST(HeatMap, ShadesShowTheScores) {
  auto bitmap = draw(2, 0.1);
  std::set<std::vector<int>> shades;
  for (int unit = 0; unit < 4; ++unit) shades.insert(cell(bitmap, 1, unit).centre);
  EXPECT_EQ(shades.size(), 4U);
  auto other = draw(2, 0.5);
  // The closer to the threshold, the brighter the square inside.
  EXPECT_GT(cell(other, 1, 2).centre, cell(other, 1, 3).centre);
}

// The first evaluation of an odd number of steps has an even row, but nothing is stored yet.
TEST(HeatMap, FirstEvaluationIsFull) {
  auto bitmap = draw(3, 0.5);
  EXPECT_EQ(cell(bitmap, 0, 1).corner, full);
  EXPECT_EQ(cell(bitmap, 2, 1).corner, reused);
}

TEST(PlanHeatMap, ShowsFullStepsComputedAndReusedBranches) {
  CachePlan plan(3, 4);
  plan.mark_cache_step(1);
  plan.reuse(2, 3);
  auto bitmap = draw_plan(plan);
  EXPECT_EQ(bitmap.height, 2 * 6 + 3 * 13 - 1);
  const auto gray = cell(bitmap, 0, 0).corner;
  const auto orange = cell(bitmap, 1, 0).corner;
  const auto dark = cell(bitmap, 2, 3).corner;
  EXPECT_EQ((std::set{gray, orange, dark}.size()), 3U);
  for (int unit = 0; unit < 4; ++unit) {
    EXPECT_EQ(cell(bitmap, 0, unit).corner, gray);
    EXPECT_EQ(cell(bitmap, 1, unit).corner, orange);
    EXPECT_EQ(cell(bitmap, 2, unit).corner, unit == 3 ? dark : orange);
  }
}

TEST(PlanHeatMap, RefusesAnEmptyPlan) {
  EXPECT_THAT([] { (void)draw_plan(CachePlan()); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("without evaluations")));
}

TEST(HeatMap, ARunThatTheRouterWasNotTrainedFor) {
  const LearnedRouter learned(make_router(2), 0.5);
  EXPECT_THAT([&] { draw_router(learned, test::ddim_shape(2, 4)); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("4")));
}

}  // namespace
}  // namespace l2c
