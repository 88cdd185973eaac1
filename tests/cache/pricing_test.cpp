#include "l2c/cache/pricing.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/models/dit_config.h"
#include "support/golden.h"

namespace l2c {
namespace {

using test::message_of;
using ::testing::HasSubstr;

// One block: attention 10 (30 in truth), MLP 20, and 5 outside.
ForwardCost small_cost() {
  ForwardCost cost;
  cost.units = {{10, 30}, {20, 20}};
  cost.rest = 5;
  cost.branch_elements = 7;
  return cost;
}

TEST(PriceTest, CountsMacsAndBytes) {
  CachePlan plan(4, 2);
  plan.reuse(1, 0);
  plan.reuse(3, 0);
  plan.reuse(3, 1);
  const PlanCost price = l2c::price(plan, small_cost());
  EXPECT_EQ(price.computed, 5);
  EXPECT_EQ(price.reused, 3);
  EXPECT_EQ(price.cache_step_branches, 4);
  EXPECT_EQ(price.paper_macs_full, 4 * 35);
  EXPECT_EQ(price.paper_macs_plan, 4 * 35 - 10 - 10 - 20);
  EXPECT_EQ(price.true_macs_full, 4 * 55);
  EXPECT_EQ(price.true_macs_plan, 4 * 55 - 30 - 30 - 20);
  EXPECT_DOUBLE_EQ(price.ideal_speedup, 220.0 / 140.0);
  EXPECT_EQ(price.cache_bytes, 2 * 7 * 2 * 4);
  EXPECT_EQ(l2c::price(plan, small_cost(), 2, 1).cache_bytes, 2 * 7 * 1 * 2);
}

TEST(PriceTest, WithoutReuseThereIsNothingToGain) {
  const PlanCost price = l2c::price(CachePlan(4, 2), small_cost());
  EXPECT_EQ(price.ideal_speedup, 1);
  EXPECT_EQ(price.cache_bytes, 0);
  EXPECT_EQ(price.true_macs_plan, price.true_macs_full);
}

TEST(PriceTest, RejectsWhatDoesNotFit) {
  EXPECT_THAT(message_of<InputError>([] { price(CachePlan(4, 6), small_cost()); }),
              HasSubstr("the plan has 6 units, the model 2"));
  EXPECT_THAT(message_of<InputError>([] { price(CachePlan(4, 2), small_cost(), 0, 2); }),
              HasSubstr("2 rows with 0 bytes"));
  EXPECT_THAT(message_of<InputError>([] { price(CachePlan(4, 2), small_cost(), 4, -1); }),
              HasSubstr("-1 rows"));
}

struct Published {
  int steps;
  const char* full;  // tera MACs of the paper's table
  const char* plan;
};

class PublishedPrices : public ::testing::TestWithParam<Published> {};

TEST_P(PublishedPrices, AreThoseOfThePaper) {
  const auto [steps, full, planned] = GetParam();
  const auto file = test::shared_reference(fmt::format("routers/DDIM{}_router.pt", steps));
  if (file.empty()) GTEST_SKIP() << "the published routers are not here (shared/reference/routers)";
  const CachePlan plan = *LearnedRouter(Router::load(file), 0.1).plan(test::ddim_shape(28, steps));
  const ForwardCost cost = forward_cost(dit_preset("DiT-XL/2"));
  const PlanCost price = l2c::price(plan, cost);
  EXPECT_EQ(fmt::format("{:.3f}", price.paper_macs_full / 1e12), full);
  EXPECT_EQ(fmt::format("{:.3f}", price.paper_macs_plan / 1e12), planned);
  EXPECT_NEAR(price.true_macs_full / steps / 1e9, 118.62, 0.005);
  EXPECT_GT(price.ideal_speedup, 1.25);
  EXPECT_LT(price.ideal_speedup, 1.35);
  // A step of each published router reuses everything, so everything is held at once.
  EXPECT_EQ(price.cache_bytes, 56LL * 256 * 1152 * 2 * 4);  // 132.1 MB
  EXPECT_EQ(fmt::format("{:.1f}", static_cast<double>(l2c::price(plan, cost, 2).cache_bytes) / 1e6),
            "66.1");
}

INSTANTIATE_TEST_SUITE_P(DiTXL2, PublishedPrices,
                         ::testing::Values(Published{20, "2.288", "1.781"},
                                           Published{50, "5.720", "4.362"}),
                         [](const auto& test) { return fmt::format("ddim{}", test.param.steps); });

}  // namespace
}  // namespace l2c
