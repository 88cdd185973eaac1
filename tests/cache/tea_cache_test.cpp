#include "l2c/cache/tea_cache.h"

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

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int steps = 10;

// What the first block's attention is given, by the parts of the model.
at::Tensor modulated_input(const DiT& model, const test::ModelRows& rows, const at::Tensor& input) {
  const auto width = model.config().hidden_size;
  const at::Tensor all =
      model.modulations(model.embed_timesteps(rows.t) + model.embed_labels(rows.y));
  const at::Tensor shift = all.narrow(1, 0, width).unsqueeze(1);
  const at::Tensor scale = all.narrow(1, width, width).unsqueeze(1);
  return at::layer_norm(input, {width}, {}, {}, 1e-6) * (1 + scale) + shift;
}

struct Case {
  const char* name;
  TeaCacheOptions options;
  bool guided;
  bool line;  // recalled along a line instead of the latest
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

// numpy.poly1d
double value_of(const std::vector<double>& coefficients, double x) {
  double sum = 0;
  double power = 1;
  for (auto c = coefficients.rbegin(); c != coefficients.rend(); ++c, power *= x) sum += *c * power;
  return sum;
}

// One image, from whole forward passes.
test::Recomputed expected(const DiT& model, const test::Images& image, const Case& asked) {
  at::Tensor before;  // the modulated input of the evaluation before
  at::Tensor latest;
  test::LineByHand line;
  double distance = 0;
  return test::recompute(
      model, image, steps,
      [&](int k, const test::ModelRows& rows, const std::vector<at::Tensor>& tokens,
          const at::Tensor& full, bool& reused) {
        const at::Tensor modulated = modulated_input(model, rows, tokens[0]);
        if (k > 0 && k < steps - 1) {
          distance += value_of(asked.options.coefficients, test::relative_l1(modulated, before));
          reused = distance < asked.options.threshold;
        }
        before = modulated;
        if (reused) {
          return test::output_from(model, rows,
                                   tokens[0] + (asked.line ? line.value_at(k) : latest), 4);
        }
        distance = 0;
        latest = tokens[4] - tokens[0];
        line.keep(k, latest);
        return full;
      });
}

class TeaCached : public ::testing::TestWithParam<Case> {};

// Four images in one batch, each as if it were alone.
TEST_P(TeaCached, DecidesAsRecomputedImageByImage) {
  const Case& asked = GetParam();
  const auto model = test::tiny_model();
  const auto images = test::make_images(4, asked.guided);
  const test::Line line;
  const Latest latest;
  const Recall& recall = asked.line ? static_cast<const Recall&>(line) : latest;
  const auto trace = test::run_policy(TeaCache(asked.options), *model, images, steps, recall);

  std::vector<double> computed(steps, 0);
  std::set<std::vector<bool>> decisions;
  for (int i = 0; i < 4; ++i) {
    const auto alone = expected(*model, test::one_of(images, i), asked);
    decisions.insert(alone.reused);
    for (std::size_t k = 0; k < steps; ++k) {
      EXPECT_LT(test::relative_error(trace.samples[k][i], alone.samples[k][0]), 1e-4)
          << "image " << i << ", evaluation " << k;
      computed[k] += alone.reused[k] ? 0 : 2;
    }
    EXPECT_FALSE(alone.reused.back());
  }
  EXPECT_EQ(trace.computed, computed);
  EXPECT_GT(decisions.size(), 1U) << "all images decide alike: nothing is tested";
}

INSTANTIATE_TEST_SUITE_P(Options, TeaCached,
                         ::testing::Values(Case{"plain", {.threshold = 0.33}, false, false},
                                           Case{"guided", {.threshold = 0.33}, true, false},
                                           Case{"polynomial",
                                                {.threshold = 0.2, .coefficients = {4, 0.5, 0.02}},
                                                true,
                                                false},
                                           Case{"line", {.threshold = 0.33}, true, true}),
                         [](const auto& param) { return param.param.name; });

TEST(TeaCacheTest, EveryOptionChangesWhatRuns) {
  const std::vector<std::shared_ptr<const CachePolicy>> all{
      std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0.4}),
      std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0.25}),
      std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0.4, .coefficients = {0.5, 0}}),
      std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0.4, .coefficients = {0.09}})};
  EXPECT_EQ(test::count_unlike(all, steps), all.size());
}

TEST(TeaCacheTest, NothingBelowTheThresholdIsTheUncachedRunBitForBit) {
  test::expect_uncached(
      {std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0}),
       std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0, .coefficients = {-1, 0}}),
       std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 1e-9})},
      steps);
}

TEST(TeaCacheTest, HoldsTwoTensorsAndOneMoreForALine) {
  test::expect_held(TeaCache({.threshold = 0.4}), steps, 2);
}

TEST(TeaCacheTest, MakesNoPlanAndSaysWhatItIs) {
  const TeaCache policy({.threshold = 0.25, .coefficients = {2, -0.5, 1}});
  EXPECT_FALSE(policy.plan(test::ddim_shape(4, steps)));
  EXPECT_EQ(policy.name(), "TeaCache, threshold 0.25, coefficients 2/-0.5/1");
}

TEST(TeaCacheTest, RefusesWhatMakesNoSense) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double threshold : {-0.1, nan}) {
    EXPECT_THAT([&] { TeaCache({.threshold = threshold}); },
                ThrowsMessage<InputError>(HasSubstr("give a number of at least 0")));
  }
  for (const std::vector<double>& coefficients : {std::vector<double>{}, {1, nan}}) {
    EXPECT_THAT([&] { TeaCache({.threshold = 1, .coefficients = coefficients}); },
                ThrowsMessage<InputError>(HasSubstr("highest power first")));
  }
}

}  // namespace
}  // namespace l2c
