#include "l2c/cache/branch_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

#include "cache/support.h"
#include "l2c/cache/recall.h"
#include "l2c/cache/store.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::ddim_shape;
using test::FakeModel;
using test::message_of;
using ::testing::HasSubstr;

void measure(BranchChanges& changes, int blocks, int evaluations) {
  CacheStore store(2, 3, 4, at::kFloat);
  FakeModel model(blocks, {2, 3, 4});
  const auto shape = ddim_shape(blocks, evaluations);
  const auto run = MeasureChanges(changes).start(shape, store, nullptr);
  for (const Evaluation& evaluation : shape.evaluations) {
    model.forward(evaluation.index, run->begin(evaluation));
  }
  EXPECT_EQ(store.peak_bytes(), 0U);
}

// One unit gives the values of one evaluation after the other.
double change_of(const std::vector<float>& values) {
  BranchChanges changes(2, 2, 1);
  CacheStore store(1, 1, 2, at::kFloat);
  const auto shape = ddim_shape(1, 2);
  const auto run = MeasureChanges(changes).start(shape, store, nullptr);
  for (const Evaluation& evaluation : shape.evaluations) {
    auto& runner = run->begin(evaluation);
    const auto value = at::full({1, 1, 2}, values.at(static_cast<std::size_t>(evaluation.index)));
    for (const int unit : {0, 1}) {
      (void)runner.branch(BranchId::from_unit(unit), [&](const at::Tensor&) { return value; });
    }
  }
  return changes.mean(0, 1, 0);
}

TEST(BranchChangesTest, NothingThatStaysNothingDoesNotChange) {
  EXPECT_EQ(change_of({0, 0}), 0);
  EXPECT_EQ(change_of({1, 0}), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(change_of({1, std::numeric_limits<float>::quiet_NaN()})));
}

// The fake model's branches hold 100 * evaluation + unit.
TEST(BranchChangesTest, AreRelativeToTheLaterOutput) {
  BranchChanges changes(5, 4, 2);
  measure(changes, 2, 5);
  EXPECT_DOUBLE_EQ(changes.mean(0, 1, 3), 100.0 / 103);
  EXPECT_DOUBLE_EQ(changes.mean(2, 2, 1), 200.0 / 401);
  changes.add(0, 1, 3, 0);
  EXPECT_DOUBLE_EQ(changes.mean(0, 1, 3), 50.0 / 103) << "the mean over micro-batches";
  EXPECT_THAT(message_of<Error>([&] { (void)changes.mean(3, 2, 0); }), HasSubstr("is kept"));
  EXPECT_THAT(message_of<Error>([&] { (void)changes.mean(0, 3, 0); }), HasSubstr("is kept"));
}

std::unique_ptr<BranchChanges> attention_changes(
    const std::vector<std::vector<double>>& by_distance) {
  const auto evaluations = static_cast<int>(by_distance[0].size()) + 1;
  auto made = std::make_unique<BranchChanges>(evaluations, 4, static_cast<int>(by_distance.size()));
  BranchChanges& changes = *made;
  for (int distance = 1; distance <= changes.lookahead(); ++distance) {
    const auto& row = by_distance[static_cast<std::size_t>(distance) - 1];
    for (int k = 0; k + distance < evaluations; ++k) {
      const double change = row[static_cast<std::size_t>(k)];
      changes.add(k, distance, 0, change - 0.05);  // two blocks, whose mean counts
      changes.add(k, distance, 2, change + 0.05);
      changes.add(k, distance, 1, 1);
      changes.add(k, distance, 3, 1);
    }
  }
  return made;
}

TEST(BranchChangesTest, ScheduleReusesAsFarAsTheChangeIsSmall) {
  const auto changes = attention_changes({{0.1, 0.3, 0.1, 0.1, 0.3, 0.1, 0.1},  //
                                          {0.1, 0.3, 0.3, 0.3, 0.3, 0.1},
                                          {0.3, 0.3, 0.3, 0.1, 0.3}});
  const auto schedule = changes->smooth_cache(0.2);
  // 0 reaches to 2; 3 to 6, over a larger change between; 7, the last, computes.
  EXPECT_EQ(schedule.at("attn"), (std::vector<int>{1, 0, 0, 1, 0, 0, 0, 1}));
  EXPECT_EQ(schedule.at("mlp"), (std::vector<int>{1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(changes->smooth_cache(0.05).at("attn"), (std::vector<int>(8, 1)));
  EXPECT_EQ(changes->smooth_cache(1).at("mlp"), (std::vector<int>{1, 0, 0, 0, 1, 0, 0, 1}))
      << "the last evaluation computes everything";
}

TEST(BranchChangesTest, ALookaheadBoundsTheReuse) {
  const auto changes = attention_changes({{0.1, 0.1, 0.1, 0.1}});
  EXPECT_EQ(changes->smooth_cache(0.2).at("attn"), (std::vector<int>{1, 0, 1, 0, 1}));
}

TEST(BranchChangesTest, RefusesWhatDoesNotFit) {
  EXPECT_THAT(message_of<InputError>([] { BranchChanges(5, 4, 0); }), HasSubstr("at least 1"));
  EXPECT_THAT(message_of<InputError>([] { BranchChanges(5, 3, 1); }), HasSubstr("3"));
  BranchChanges changes(5, 4, 2);
  for (const double threshold : {-0.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(message_of<InputError>([&] { (void)changes.smooth_cache(threshold); }),
                HasSubstr("must be at least 0"));
  }
  CacheStore store(2, 3, 4, at::kFloat);
  EXPECT_THAT(message_of<InputError>(
                  [&] { (void)MeasureChanges(changes).start(ddim_shape(2, 6), store, nullptr); }),
              HasSubstr("the run has 6 of 4"));
}

}  // namespace
}  // namespace l2c
