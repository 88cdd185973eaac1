#include "l2c/cache/router_difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "support/golden.h"

namespace l2c {
namespace {

using test::ddim_shape;
using test::message_of;
using testing::HasSubstr;

Router changed(const Router& router, int row, int unit, float logit, RouterInfo info = {}) {
  std::vector<float> logits;
  for (int r = 0; r < router.rows(); ++r) {
    for (int u = 0; u < router.units(); ++u) {
      logits.push_back(r == row && u == unit ? logit : router.logit(r, u));
    }
  }
  return {router.rows(), router.units(), std::move(logits), std::move(info)};
}

TEST(RouterDifference, OfARouterAndItselfIsNone) {
  const auto router = test::random_router(6, 8, 1);
  const auto found = compare_routers(router, router, {0.1, 0.5}, ddim_shape(4, 6));
  EXPECT_TRUE(found.same());
  EXPECT_EQ(found.largest, 0);
  EXPECT_EQ(found.of, 48);
  ASSERT_EQ(found.decisions.size(), 2U);
  EXPECT_EQ(found.decisions[1].threshold, 0.5);
  EXPECT_EQ(found.decisions[1].differing, 0);
  EXPECT_EQ(found.decisions[1].of, 48);
}

TEST(RouterDifference, ARowThatIsNeverUsedChangesNoDecision) {
  const Router a(4, 2, std::vector<float>(8, -4));
  // Evaluations 0 to 3 have rows 3 to 0; rows 0 and 2 decide, but evaluation 0 is full anyway.
  const std::vector<std::pair<int, int>> expected{{0, 1}, {1, 0}, {2, 1}, {3, 0}};
  for (const auto& [row, decisions] : expected) {
    const auto found = compare_routers(a, changed(a, row, 1, 4), {0.5}, ddim_shape(1, 4));
    EXPECT_FALSE(found.same());
    EXPECT_EQ(found.differing, 1);
    EXPECT_FLOAT_EQ(static_cast<float>(found.largest), 8);
    EXPECT_FLOAT_EQ(static_cast<float>(found.mean), 1);
    EXPECT_EQ(found.decisions[0].differing, decisions) << row;
    EXPECT_EQ(compare_routers(a, changed(a, row, 1, 4), {0.5}, std::nullopt).decisions[0].differing,
              1)
        << "without a shape every row decides";
  }
}

TEST(RouterDifference, DecisionsAreThoseOfThePlans) {
  const auto a = test::random_router(8, 6, 1);
  const auto b = test::random_router(8, 6, 2);
  const auto shape = ddim_shape(3, 8);
  for (const double threshold : {0.0, 0.3, 0.5, 0.9, 1.0}) {
    const auto first = test::reuse_mask(LearnedRouter(a, threshold).plan(shape).value());
    const auto second = test::reuse_mask(LearnedRouter(b, threshold).plan(shape).value());
    const auto found = compare_routers(a, b, {threshold}, shape);
    EXPECT_EQ(found.decisions[0].differing, first.ne(second).sum().item<int>()) << threshold;
  }
}

TEST(RouterDifference, AnotherRuleIsAnotherRouter) {
  const auto a = test::random_router(6, 2, 1, {.spacing = "6", .training = "long"});
  auto info = a.info();
  info.training = "short";  // for people
  EXPECT_TRUE(compare_routers(a, changed(a, -1, 0, 0, info), {}, std::nullopt).same());
  info.group = 3;
  info.threshold = 0.25;
  const auto b = changed(a, -1, 0, 0, info);
  const auto found = compare_routers(a, b, {0.0, 1.0}, ddim_shape(1, 6));
  EXPECT_FALSE(found.same());
  EXPECT_EQ(found.differing, 0);
  ASSERT_EQ(found.facts.size(), 2U);
  EXPECT_EQ(found.facts[0].name, "group");
  EXPECT_EQ(found.facts[0].first, "2");
  EXPECT_EQ(found.facts[0].second, "3");
  EXPECT_EQ(found.facts[1].name, "threshold");
  EXPECT_EQ(found.facts[1].first, "");
  EXPECT_EQ(found.facts[1].second, "0.25");
  // Full are evaluations 0, 2, 4 of one, and 0, 3 of the other: 2, 3 and 4 differ.
  EXPECT_EQ(found.decisions[0].differing, 0) << "at threshold 0 all is computed";
  EXPECT_EQ(found.decisions[1].differing, 6);
}

TEST(RouterDifference, Refuses) {
  const auto a = test::random_router(6, 8, 1);
  EXPECT_THAT(
      message_of([&] { compare_routers(a, test::random_router(5, 8, 1), {}, std::nullopt); }),
      HasSubstr("6 steps of 4 blocks, and 5 steps of 4 blocks"));
  EXPECT_THAT(
      message_of([&] { compare_routers(a, test::random_router(6, 4, 1), {}, std::nullopt); }),
      HasSubstr("4 blocks, and 6 steps of 2 blocks"));
  EXPECT_THAT(message_of([&] { compare_routers(a, a, {1.5}, std::nullopt); }),
              HasSubstr("threshold 1.5 is outside [0, 1]"));
  EXPECT_THAT(message_of([&] { compare_routers(a, a, {0.5}, ddim_shape(4, 9)); }),
              HasSubstr("there is no row 6"));
}

}  // namespace
}  // namespace l2c
