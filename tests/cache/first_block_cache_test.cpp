#include "l2c/cache/first_block_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <set>
#include <vector>

#include "cache/range_support.h"
#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "support/models.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// The weights of the tiny model are random: residuals change by about their own size.
constexpr int steps = 10;

struct Case {
  const char* name;
  FirstBlockOptions options;
  bool guided;
  bool line;  // recalled along a line instead of the latest
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

// One image, from whole forward passes.
test::Recomputed expected(const DiT& model, const test::Images& image, const Case& asked) {
  const FirstBlockOptions& options = asked.options;
  const auto first_of_rest = static_cast<std::size_t>(options.blocks);
  at::Tensor known;  // the first blocks' residual of the last full evaluation
  at::Tensor latest;
  test::LineByHand line;
  int in_a_row = 0;
  return test::recompute(
      model, image, steps,
      [&](int k, const test::ModelRows& rows, const std::vector<at::Tensor>& tokens,
          const at::Tensor& full, bool& reused) {
        const at::Tensor first = tokens[first_of_rest] - tokens[0];
        reused = k >= options.warm_up && known.defined() &&
                 test::relative_l1(first, known) < options.threshold &&
                 (options.most == 0 || in_a_row < options.most);
        if (reused) {
          ++in_a_row;
          const at::Tensor rest = asked.line ? line.value_at(k) : latest;
          return test::output_from(model, rows, tokens[first_of_rest] + rest, 4);
        }
        in_a_row = 0;
        known = first;
        latest = tokens[4] - tokens[first_of_rest];
        line.keep(k, latest);
        return full;
      });
}

class FirstBlock : public ::testing::TestWithParam<Case> {};

// Four images in one batch, each as if it were alone.
TEST_P(FirstBlock, DecidesAsRecomputedImageByImage) {
  const Case& asked = GetParam();
  const auto model = test::tiny_model();
  const auto images = test::make_images(4, asked.guided);
  const FirstBlockCache policy(asked.options);
  const test::Line line;
  const Latest latest;
  const Recall& recall = asked.line ? static_cast<const Recall&>(line) : latest;
  const auto trace = test::run_policy(policy, *model, images, steps, recall);

  std::vector<double> computed(steps, 0);
  std::set<std::vector<bool>> decisions;
  for (int i = 0; i < 4; ++i) {
    const auto alone = expected(*model, test::one_of(images, i), asked);
    decisions.insert(alone.reused);
    for (std::size_t k = 0; k < steps; ++k) {
      EXPECT_LT(test::relative_error(trace.samples[k][i], alone.samples[k][0]), 1e-4)
          << "image " << i << ", evaluation " << k;
      computed[k] += (alone.reused[k] ? 2.0 * asked.options.blocks : 8.0) / 4;
    }
  }
  EXPECT_EQ(trace.computed, computed);
  EXPECT_GT(decisions.size(), 1U) << "all images decide alike: nothing is tested";
}

INSTANTIATE_TEST_SUITE_P(
    Options, FirstBlock,
    ::testing::Values(Case{"plain", {.threshold = 0.975}, false, false},
                      Case{"guided", {.threshold = 0.975}, true, false},
                      Case{"two_blocks", {.threshold = 0.975, .blocks = 2}, true, false},
                      Case{"warm_up", {.threshold = 0.93, .warm_up = 4}, false, false},
                      Case{"most", {.threshold = 1.3, .most = 3}, true, false},
                      Case{"line", {.threshold = 0.975}, true, true}),
    [](const auto& param) { return param.param.name; });

TEST(FirstBlockCacheTest, EveryOptionChangesWhatRuns) {
  const std::vector<std::shared_ptr<const CachePolicy>> all{
      std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 1.3}),
      std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 1.5}),
      std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 1.3, .blocks = 2}),
      std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 1.3, .warm_up = 5}),
      std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 1.3, .most = 1})};
  EXPECT_EQ(test::count_unlike(all, steps), all.size());
}

TEST(FirstBlockCacheTest, NothingBelowTheThresholdIsTheUncachedRunBitForBit) {
  test::expect_uncached(
      {std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 0}),
       std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 1e-9}),
       std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 100, .warm_up = steps})},
      steps);
}

TEST(FirstBlockCacheTest, HoldsTwoTensorsAndOneMoreForALine) {
  test::expect_held(FirstBlockCache({.threshold = 0.9}), steps, 2);
}

TEST(FirstBlockCacheTest, RunsInBf16) {
  const auto model =
      DiT::load(test::tiny_config(), test::tiny_checkpoint(), test::device(), at::kBFloat16);
  const auto images = test::make_images(3, true);
  const FirstBlockCache policy({.threshold = 0.975});
  const auto half = test::run_policy(policy, *model, images, steps);
  const auto full = test::run_policy(policy, *test::tiny_model(), images, steps);
  EXPECT_LT(half.computed, test::run_policy(ComputeAll(), *model, images, steps).computed);
  EXPECT_LT(test::relative_error(half.samples.back(), full.samples.back()), 3e-2);
}

TEST(FirstBlockCacheTest, MakesNoPlanAndSaysWhatItIs) {
  const FirstBlockCache policy({.threshold = 0.25, .blocks = 2, .warm_up = 3, .most = 4});
  EXPECT_FALSE(policy.plan(test::ddim_shape(4, steps)));
  EXPECT_EQ(policy.name(), "first-block cache, threshold 0.25, blocks 2, warm-up 3, most 4");
}

TEST(FirstBlockCacheTest, RefusesWhatMakesNoSense) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double threshold : {-0.1, nan}) {
    EXPECT_THAT([&] { FirstBlockCache({.threshold = threshold}); },
                ThrowsMessage<InputError>(HasSubstr("give a number of at least 0")));
  }
  for (const FirstBlockOptions& options :
       {FirstBlockOptions{.blocks = 0}, FirstBlockOptions{.warm_up = -1},
        FirstBlockOptions{.most = -1}}) {
    EXPECT_THAT([&] { FirstBlockCache{options}; },
                ThrowsMessage<InputError>(HasSubstr("give at least 1, 0 and 0")));
  }
  const auto images = test::make_images(1, false);
  EXPECT_THAT(
      [&] {
        (void)test::run_policy(FirstBlockCache({.blocks = 4}), *test::tiny_model(), images, 2);
      },
      ThrowsMessage<InputError>(AllOf(HasSubstr("always computes 4 blocks, and the model has 4"))));
}

}  // namespace
}  // namespace l2c
