#include "l2c/cache/plan_places.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/recall.h"

namespace l2c {
namespace {

using test::ddim_shape;
using test::random_plan;

TEST(PlanPlaces, WithoutAForecastAUnitHasOne) {
  CachePlan plan(4, 3);
  plan.reuse(1, 0);
  plan.reuse(3, 2);
  const PlanPlaces places(plan);
  EXPECT_EQ(places.of_unit(0), 1);
  EXPECT_EQ(places.of_unit(1), 0);
  EXPECT_EQ(places.in_all(), 2);
  EXPECT_EQ(places.kept_at(0, 0), 0);
  EXPECT_EQ(places.kept_at(2, 0), -1) << "nobody reads it";
  EXPECT_EQ(places.may_go_to(2, 0), 0) << "but there is a place";
  EXPECT_EQ(places.may_go_to(0, 1), -1) << "here there is none";
  EXPECT_EQ(places.reads(3, 2), (std::vector<PlanPlaces::Read>{{0, 1, true}}));
  EXPECT_TRUE(places.reads(2, 2).empty());
}

TEST(PlanPlaces, TakeTurnsWhereAForecastLooksBack) {
  const auto shape = ddim_shape(1, 8);
  auto plan = *EveryN(2).plan(shape);
  plan.recall_by(Taylor(1), shape);
  const PlanPlaces places(plan);
  EXPECT_EQ(places.of_unit(0), 2);
  EXPECT_EQ(places.kept_at(0, 0), 0);
  EXPECT_EQ(places.kept_at(2, 0), 1);
  EXPECT_EQ(places.kept_at(4, 0), 0) << "its value was read for the last time in evaluation 3";
  EXPECT_EQ(places.reads(3, 0),
            (std::vector<PlanPlaces::Read>{{1, 1.5F, false}, {0, -0.5F, true}}));
  EXPECT_EQ(places.reads(5, 0),
            (std::vector<PlanPlaces::Read>{{0, 1.5F, false}, {1, -0.5F, true}}));
}

// Carries plans out with evaluation numbers as values: every read finds what the plan wants, and
// never more is held than the plan says.
TEST(PlanPlaces, HoldWhatIsReadAndNoMore) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    const auto shape = ddim_shape(3, 14);
    CachePlan plan = random_plan(14, 6, 0.6, seed);
    if (seed % 3 > 0) plan.recall_by(Taylor(static_cast<int>(seed % 3)), shape);
    const PlanPlaces places(plan);
    int most = 0;
    std::map<std::pair<int, int>, int> held;  // unit and place -> evaluation
    for (int k = 0; k < 14; ++k) {
      for (int unit = 0; unit < 6; ++unit) {
        std::vector<RecallTerm> found;
        for (const auto& read : places.reads(k, unit)) {
          const auto entry = held.find({unit, read.place});
          ASSERT_NE(entry, held.end());
          found.push_back({entry->second, read.weight});
          if (read.last) held.erase(entry);
        }
        EXPECT_EQ(found, plan.terms(k, unit)) << "evaluation " << k << ", unit " << unit;
        const int place = places.kept_at(k, unit);
        EXPECT_EQ(place >= 0, plan.keeps(k, unit));
        EXPECT_LT(place, places.of_unit(unit));
        if (place < 0) continue;
        EXPECT_TRUE(held.emplace(std::pair(unit, place), k).second) << "the place was taken";
        most = std::max(most, static_cast<int>(held.size()));
      }
    }
    EXPECT_EQ(most, plan.peak_stored());
    EXPECT_GE(places.in_all(), most);
    EXPECT_TRUE(held.empty());
  }
}

}  // namespace
}  // namespace l2c
