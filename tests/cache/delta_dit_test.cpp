#include "l2c/cache/delta_dit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "cache/range_support.h"
#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/pricing.h"
#include "l2c/core/error.h"
#include "support/models.h"

namespace l2c {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int steps = 9;

// A row for each evaluation, a letter for each of four blocks: c computed, r reused.
std::string drawn(const CachePlan& plan) {
  std::string rows;
  for (int k = 0; k < plan.evaluations(); ++k) {
    if (k > 0) rows += ' ';
    for (int block = 0; block < 4; ++block) {
      const bool computes = plan.computes(k, 2 * block);
      EXPECT_EQ(plan.computes(k, 2 * block + 1), computes);
      rows += computes ? 'c' : 'r';
    }
  }
  return rows;
}

struct Case {
  const char* name;
  DeltaDiTOptions options;
  std::string plan;  // by hand
  int held;          // tensors at a time
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

// One image from whole forward passes, after the plan by hand.
test::Recomputed expected(const DiT& model, const test::Images& image, const Case& asked,
                          bool straight) {
  // Of the rear (false) and the front (true) blocks, as they are known from full evaluations.
  std::map<bool, at::Tensor> latest;
  std::map<bool, test::LineByHand> lines;
  const auto count = static_cast<std::size_t>(asked.options.blocks.value_or(3));
  return test::recompute(
      model, image, steps,
      [&](int k, const test::ModelRows& rows, const std::vector<at::Tensor>& tokens,
          const at::Tensor& full, bool& reused) {
        const std::string row = asked.plan.substr(static_cast<std::size_t>(5 * k), 4);
        const bool front = row[0] == 'r';
        reused = row != "cccc";
        const auto value = [&] { return straight ? lines[front].value_at(k) : latest[front]; };
        if (reused && front) {
          return test::output_from(model, rows, tokens[0] + value(), static_cast<int>(count));
        }
        if (reused) return test::output_from(model, rows, tokens[4 - count] + value(), 4);
        latest[false] = tokens[4] - tokens[4 - count];
        latest[true] = tokens[count] - tokens[0];
        for (const bool side : {false, true}) lines[side].keep(k, latest[side]);
        return full;
      });
}

class Delta : public ::testing::TestWithParam<Case> {
 protected:
  const test::Images images = test::make_images(2, true);
  const std::shared_ptr<const DiT> model = test::tiny_model();
  const DeltaDiT policy{GetParam().options};
};

TEST_P(Delta, PlansAsByHand) {
  const CachePlan plan = *policy.plan(test::ddim_shape(4, steps));
  EXPECT_EQ(drawn(plan), GetParam().plan);
  EXPECT_EQ(plan.peak_stored(), GetParam().held);
  for (int k = 0; k < steps; ++k)
    EXPECT_EQ(plan.cache_step(k),
              plan.computes(k, 0) != plan.computes(k, 7) || !plan.computes(k, 0));
}

TEST_P(Delta, RunsItsPlanAsRecomputed) {
  const CachePlan plan = *policy.plan(test::range_shape(images, *model, steps));
  for (const bool straight : {false, true}) {
    const test::Line line;
    const Latest latest;
    const Recall& recall = straight ? static_cast<const Recall&>(line) : latest;
    const auto trace = test::run_policy(policy, *model, images, steps, recall);
    for (int k = 0; k < steps; ++k) {
      int computed = 0;
      for (int unit = 0; unit < 8; ++unit) computed += plan.computes(k, unit) ? 1 : 0;
      EXPECT_EQ(trace.computed[static_cast<std::size_t>(k)], computed) << k;
    }
    for (int unit = 0; unit < 8; ++unit) {
      int computed = 0;
      for (int k = 0; k < steps; ++k) computed += plan.computes(k, unit) ? 1 : 0;
      EXPECT_EQ(trace.by_unit[static_cast<std::size_t>(unit)], computed) << unit;
    }
    if (!straight) {
      EXPECT_EQ(trace.peak_bytes,
                static_cast<std::size_t>(plan.peak_stored()) * 4 * 16 * 64 * sizeof(float));
    }
    for (int i = 0; i < 2; ++i) {
      const auto alone = expected(*model, test::one_of(images, i), GetParam(), straight);
      for (std::size_t k = 0; k < steps; ++k) {
        EXPECT_LT(test::relative_error(trace.samples[k][i], alone.samples[k][0]), 1e-4)
            << "image " << i << ", evaluation " << k << (straight ? ", line" : "");
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Options, Delta,
    ::testing::Values(
        Case{"defaults", {}, "cccc crrr cccc crrr cccc rrrc cccc rrrc cccc", 1},
        Case{"interval", {.interval = 3}, "cccc crrr crrr cccc crrr rrrc cccc rrrc rrrc", 2},
        Case{"blocks",
             {.interval = 2, .blocks = 1},
             "cccc cccr cccc cccr cccc rccc cccc rccc cccc",
             1},
        Case{"boundary",
             {.interval = 2, .blocks = 2, .boundary = 2},
             "cccc ccrr cccc rrcc cccc rrcc cccc rrcc cccc",
             1},
        Case{"only_front",
             {.interval = 4, .blocks = 2, .boundary = 0},
             "cccc rrcc rrcc rrcc cccc rrcc rrcc rrcc cccc",
             1},
        Case{"only_rear",
             {.interval = 4, .blocks = 2, .boundary = 99},
             "cccc ccrr ccrr ccrr cccc ccrr ccrr ccrr cccc",
             1},
        Case{"all_blocks",
             {.interval = 3, .blocks = 4},
             "cccc rrrr rrrr cccc rrrr rrrr cccc rrrr rrrr",
             2}),
    [](const auto& param) { return param.param.name; });

TEST(DeltaDiTTest, EveryOptionChangesWhatRuns) {
  const auto model = test::tiny_model();
  const auto images = test::make_images(2, false);
  const std::vector<DeltaDiTOptions> all{{}, {.interval = 3}, {.blocks = 2}, {.boundary = 2}};
  std::set<std::vector<double>> units;
  for (const auto& options : all) {
    units.insert(test::run_policy(DeltaDiT(options), *model, images, steps).by_unit);
  }
  EXPECT_EQ(units.size(), all.size());
}

TEST(DeltaDiTTest, IntervalOneIsTheUncachedRunBitForBit) {
  const auto images = test::make_images(3, true);
  for (const auto& model :
       {test::tiny_model(),
        DiT::load(test::tiny_config(), test::tiny_checkpoint(), test::device(), at::kFloat)}) {
    const auto plain = test::run_policy(ComputeAll(), *model, images, steps);
    const auto cached = test::run_policy(DeltaDiT({.interval = 1}), *model, images, steps);
    EXPECT_EQ(cached.peak_bytes, 0U);
    for (std::size_t k = 0; k < steps; ++k) {
      test::expect_equal(cached.samples[k], plain.samples[k], "a step");
    }
    // Stopping for the ranges changes no bits either.
    const auto every_other = test::run_policy(DeltaDiT({}), *model, images, steps);
    test::expect_equal(every_other.samples[0], plain.samples[0], "the first step");
  }
}

TEST(DeltaDiTTest, IsPricedWithOneTensorARange) {
  const auto model = test::tiny_model();
  const CachePlan plan = *DeltaDiT({}).plan(test::ddim_shape(4, steps));
  const PlanCost cost = price(plan, model->cost());
  EXPECT_EQ(cost.reused, 4 * 6);
  EXPECT_EQ(cost.cache_bytes, 2 * 16 * 64 * 4);
}

TEST(DeltaDiTTest, SaysWhatItIs) {
  EXPECT_EQ(DeltaDiT({}).name(), "Delta-DiT, interval 2, blocks 3/4, boundary 1/2");
  EXPECT_EQ(DeltaDiT({.interval = 3, .blocks = 21, .boundary = 12}).name(),
            "Delta-DiT, interval 3, blocks 21, boundary 12");
}

TEST(DeltaDiTTest, RefusesWhatMakesNoSense) {
  for (const DeltaDiTOptions& options :
       {DeltaDiTOptions{.interval = 0}, DeltaDiTOptions{.blocks = 0},
        DeltaDiTOptions{.boundary = -1}}) {
    EXPECT_THAT([&] { DeltaDiT{options}; },
                ThrowsMessage<InputError>(HasSubstr("give at least 1, 1 and 0")));
  }
  EXPECT_THAT([] { (void)DeltaDiT({.blocks = 5}).plan(test::ddim_shape(4, steps)); },
              ThrowsMessage<InputError>(HasSubstr("reuses 5 blocks, but the model has 4")));
}

}  // namespace
}  // namespace l2c
