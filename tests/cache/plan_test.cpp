#include "l2c/cache/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "cache/support.h"
#include "l2c/cache/recall.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(CachePlanTest, StartsWithEverythingComputed) {
  const CachePlan plan(3, 4);
  EXPECT_EQ(plan.evaluations(), 3);
  EXPECT_EQ(plan.units(), 4);
  EXPECT_EQ(plan.computed(), 12);
  EXPECT_EQ(plan.reused(), 0);
  EXPECT_EQ(plan.cache_step_branches(), 0);
  EXPECT_EQ(plan.peak_stored(), 0);
  for (int k = 0; k < 3; ++k) {
    EXPECT_FALSE(plan.cache_step(k));
    for (int unit = 0; unit < 4; ++unit) {
      EXPECT_TRUE(plan.computes(k, unit));
      EXPECT_FALSE(plan.keeps(k, unit));
      EXPECT_EQ(plan.last_reader(k, unit), -1);
      EXPECT_TRUE(plan.terms(k, unit).empty());
    }
  }
}

TEST(CachePlanTest, CountsReusedBranchesAndCacheSteps) {
  CachePlan plan(5, 4);
  plan.reuse(1, 0);
  plan.reuse(1, 3);
  plan.reuse(1, 3);         // twice is once
  plan.mark_cache_step(3);  // free to reuse, but computes everything
  EXPECT_EQ(plan.reused(), 2);
  EXPECT_EQ(plan.computed(), 18);
  EXPECT_EQ(plan.cache_step_branches(), 8);
  EXPECT_TRUE(plan.cache_step(1));
  EXPECT_TRUE(plan.cache_step(3));
  EXPECT_FALSE(plan.cache_step(2));
  EXPECT_FALSE(plan.computes(1, 3));
  EXPECT_TRUE(plan.computes(1, 2));
}

// Unit 0: computed at 0, read at 1 and 2; computed at 3 and 4, read at 5, the end.
TEST(CachePlanTest, KeepsWhatALaterEvaluationReadsAndDropsAfterTheLastRead) {
  CachePlan plan(6, 2);
  plan.reuse(1, 0);
  plan.reuse(2, 0);
  plan.reuse(5, 0);
  std::vector<int> kept;
  for (int k = 0; k < 6; ++k) {
    if (plan.keeps(k, 0)) kept.push_back(k);
    EXPECT_FALSE(plan.keeps(k, 1));
  }
  EXPECT_EQ(kept, (std::vector<int>{0, 4}));
  EXPECT_EQ(plan.last_reader(0, 0), 2);
  EXPECT_EQ(plan.last_reader(3, 0), -1);
  EXPECT_EQ(plan.last_reader(4, 0), 5);
  EXPECT_EQ(plan.terms(2, 0), (std::vector<RecallTerm>{{0, 1}}));
}

TEST(CachePlanTest, PeakCountsWhatIsHeldAtTheSameTime) {
  CachePlan apart(4, 4);  // units 0 and 1 held from 0 to 1, units 2 and 3 from 2 to 3
  apart.reuse(1, 0);
  apart.reuse(1, 1);
  apart.reuse(3, 2);
  apart.reuse(3, 3);
  EXPECT_EQ(apart.peak_stored(), 2);

  CachePlan overlapping(3, 4);  // unit 3 is stored at 1, while 0 and 1 are dropped before
  overlapping.reuse(1, 0);
  overlapping.reuse(1, 1);
  overlapping.reuse(2, 3);
  EXPECT_EQ(overlapping.peak_stored(), 2);

  CachePlan crossing(3, 4);  // unit 0 is stored at 1 before units 2 and 3 are read
  crossing.reuse(1, 2);
  crossing.reuse(1, 3);
  crossing.reuse(2, 0);
  EXPECT_EQ(crossing.peak_stored(), 3);

  CachePlan all(3, 4);
  for (int unit = 0; unit < 4; ++unit) all.reuse(1, unit);
  EXPECT_EQ(all.peak_stored(), 4);
}

TEST(CachePlanTest, AForecastReadsOlderValuesToo) {
  const auto shape = test::ddim_shape(1, 6);
  CachePlan plan(6, 2);
  for (const int k : {1, 3, 5}) plan.reuse(k, 0);
  const CachePlan latest = plan;
  plan.recall_by(Taylor(1), shape);
  EXPECT_NE(plan, latest);
  EXPECT_EQ(plan.terms(1, 0), (std::vector<RecallTerm>{{0, 1}})) << "no more is known yet";
  EXPECT_EQ(plan.terms(3, 0), (std::vector<RecallTerm>{{2, 1.5F}, {0, -0.5F}}));
  EXPECT_EQ(plan.terms(5, 0), (std::vector<RecallTerm>{{4, 1.5F}, {2, -0.5F}}));
  EXPECT_EQ(plan.last_reader(0, 0), 3);
  EXPECT_EQ(plan.last_reader(2, 0), 5);
  EXPECT_EQ(latest.peak_stored(), 1);
  EXPECT_EQ(plan.peak_stored(), 2);
  EXPECT_EQ(plan.computed(), latest.computed());
  plan.recall_by(Latest(), shape);
  EXPECT_EQ(plan.peak_stored(), 1);
  plan.recall_by(Taylor(1), shape);
  plan.reuse(5, 0);
  EXPECT_EQ(plan, latest) << "reuse() goes back to the latest value";
  EXPECT_THAT(
      test::message_of<InputError>([&] { plan.recall_by(Latest(), test::ddim_shape(1, 5)); }),
      HasSubstr("the plan has 6 evaluations, the run 5"));
}

TEST(CachePlanTest, EqualPlansAreEqual) {
  CachePlan a(3, 2);
  CachePlan b(3, 2);
  EXPECT_EQ(a, b);
  a.reuse(1, 1);
  EXPECT_NE(a, b);
  b.reuse(1, 1);
  EXPECT_EQ(a, b);
  b.mark_cache_step(2);
  EXPECT_NE(a, b);
}

TEST(CachePlanTest, RejectsWhatCannotBePlanned) {
  using test::message_of;
  CachePlan plan(3, 4);
  EXPECT_THAT(message_of<InputError>([&] { plan.reuse(0, 2); }),
              AllOf(HasSubstr("unit 2"), HasSubstr("never computed before")));
  EXPECT_THAT(message_of<InputError>([&] { plan.reuse(3, 0); }),
              HasSubstr("evaluation 3 is outside the plan, which has evaluations 0 to 2"));
  EXPECT_THAT(message_of<InputError>([&] { plan.reuse(1, 4); }),
              HasSubstr("unit 4 is outside the plan, which has units 0 to 3"));
  EXPECT_THAT(message_of<InputError>([&] { plan.reuse(1, -1); }), HasSubstr("unit -1 is outside"));
  EXPECT_THAT(message_of<InputError>([&] { plan.mark_cache_step(-1); }),
              HasSubstr("evaluation -1 is outside"));
  EXPECT_EQ(plan.reused(), 0);
  EXPECT_THAT(message_of<InputError>([] { CachePlan(0, 4); }), HasSubstr("not 0 and 4"));
  EXPECT_THAT(message_of<InputError>([] { CachePlan(4, -1); }), HasSubstr("not 4 and -1"));
}

TEST(CachePlanTest, MayHoldFewerTensorsThanUnits) {
  CachePlan plan(3, 4);
  for (int unit = 0; unit < 4; ++unit) plan.reuse(1, unit);
  const CachePlan usual = plan;
  EXPECT_EQ(plan.peak_stored(), 4);
  plan.hold_at_most(1, 2);
  EXPECT_EQ(plan.peak_stored(), 1);
  EXPECT_EQ(plan.computed(), usual.computed());
  EXPECT_FALSE(plan == usual);
  EXPECT_THAT(test::message_of<InputError>([&] { plan.hold_at_most(-1, 1); }),
              ::testing::HasSubstr("cannot hold -1 tensors"));
}

RunShape starting_anew(int evaluations, int at) {
  RunShape shape;
  shape.blocks = 1;
  for (int k = 0; k < evaluations; ++k) {
    shape.evaluations.push_back({.index = k, .count = evaluations, .time = 900.0 - 100 * k});
  }
  shape.evaluations[static_cast<std::size_t>(at)].starts_anew = true;
  return shape;
}

TEST(CachePlanTest, StartingAnewComputesEverythingThere) {
  CachePlan plan(6, 2);
  for (const int k : {1, 2, 3, 4, 5}) plan.reuse(k, 0);
  plan.start_anew(starting_anew(6, 3));
  EXPECT_TRUE(plan.computes(3, 0));
  EXPECT_FALSE(plan.cache_step(3));
  EXPECT_FALSE(plan.computes(2, 0));
  EXPECT_EQ(plan.last_reader(0, 0), 2);
  EXPECT_EQ(plan.last_reader(3, 0), 5);
  EXPECT_EQ(plan.reused(), 4);
}

TEST(CachePlanTest, RecallsDoNotLookBackBeyondAStart) {
  CachePlan plan(6, 2);
  for (const int k : {2, 4, 5}) plan.reuse(k, 0);
  plan.recall_by(Taylor(2), starting_anew(6, 3));
  EXPECT_EQ(plan.terms(2, 0).size(), 2U);  // of 0 and 1
  EXPECT_EQ(plan.terms(4, 0), (std::vector<RecallTerm>{{3, 1}}));
  EXPECT_EQ(plan.terms(5, 0), (std::vector<RecallTerm>{{3, 1}}));
}

TEST(CachePlanTest, ARecallOfAnotherRunIsAnError) {
  CachePlan plan(6, 2);
  for (const int k : {2, 3, 5}) plan.reuse(k, 0);
  plan.recall_by(Taylor(2), starting_anew(6, 0));
  EXPECT_THROW(plan.start_anew(starting_anew(6, 3)), Error);
  EXPECT_THROW(plan.start_anew(starting_anew(5, 3)), InputError);
}

}  // namespace
}  // namespace l2c
