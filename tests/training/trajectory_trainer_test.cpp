// Router training on whole runs of the sampler.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "l2c/cache/fitted_recall.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/router_steps.h"
#include "l2c/core/error.h"
#include "l2c/sampling/planning.h"
#include "l2c/training/router_trainer.h"
#include "router_support.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace test;

RouterTrainingOptions runs(std::int64_t iterations = 6) {
  auto options = tiny_options(iterations);
  options.spacing = std::string("8");  // GCC 12 warns of the literal
  options.batch_size = 2;
  options.learning_rate = 0.1;
  options.trajectory = true;
  return options;
}

RouterTrainingResult train_on_runs(const RouterTrainingOptions& options,
                                   const std::filesystem::path& folder) {
  return train(options, folder, nullptr);
}

TEST(TrajectoryTraining, NeedsNoImagesAndTrainsEveryCacheStep) {
  const auto folder = test::scratch();
  auto options = runs(2);
  options.group = 3;
  options.recall = "taylor:1";
  const auto once = train_on_runs(options, folder);
  EXPECT_EQ(once.router.info().group, 3);
  EXPECT_EQ(once.router.info().recall, "taylor:1");
  EXPECT_THAT(once.router.info().training, HasSubstr("whole runs, recall taylor:1, group 3"));
  EXPECT_FALSE(std::filesystem::exists(folder / "own-samples.safetensors"));
  options.iterations = 8;
  const auto more = train_on_runs(options, folder);
  for (int k = 0; k < 8; ++k) {
    const int row = 7 - k;
    const bool full = k % 3 == 0;
    EXPECT_EQ(once.router.logit(row, 2) == more.router.logit(row, 2), full) << "row " << row;
  }
  const auto read = Router::load(folder / "router.safetensors");
  EXPECT_EQ(read.info(), more.router.info());
  const auto plan = *LearnedRouter(read, 0.1).plan(plan_shape(4, "8", {}, "ddim"));
  for (int k = 0; k < 8; ++k) EXPECT_EQ(plan.cache_step(k), k % 3 != 0);
}

TEST(TrajectoryTraining, ResumesToTheSameBits) {
  auto options = runs(24);
  options.lambda.reset();
  options.target_speedup = 1.3;
  const auto whole = train_on_runs(options, test::scratch());
  EXPECT_GT(whole.lambda, 0);
  const auto folder = test::scratch();
  stop_after(9, options, folder, nullptr);
  const auto resumed = train_on_runs(options, folder);
  EXPECT_EQ(logits(resumed.router), logits(whole.router));
  EXPECT_EQ(resumed.lambda, whole.lambda);
}

TEST(TrajectoryTraining, MeetsATargetWithFreePlacement) {
  auto options = runs(40);
  options.lambda.reset();
  options.group = 0;
  options.target_speedup = 1.8;
  options.learning_rate = 0.3;
  const auto result = train_on_runs(options, test::scratch());
  EXPECT_NEAR(result.ideal_speedup, 1.8, 0.2);
  EXPECT_EQ(result.cache_step_branches, 7 * 8);
}

TEST(TrajectoryTraining, EveryOptionChangesTheRouter) {
  const auto base = logits(train_on_runs(runs(), test::scratch()).router);
  const auto expect_other = [&](const char* what, auto change) {
    auto options = runs();
    change(options);
    EXPECT_NE(logits(train_on_runs(options, test::scratch()).router), base) << what;
  };
  expect_other("recall", [](auto& o) { o.recall = "taylor:1"; });
  expect_other("group", [](auto& o) { o.group = 0; });
  expect_other("hard", [](auto& o) { o.hard = true; });
  expect_other("guidance", [](auto& o) { o.guidance = 2; });
  expect_other("label dropout", [](auto& o) { o.label_dropout = 0.9; });
  expect_other("lambda", [](auto& o) { o.lambda = 1e-2; });
  expect_other("dtype", [](auto& o) { o.dtype = "bf16"; });
  expect_other("seed", [](auto& o) { o.seed = 5; });
}

TEST(TrajectoryTraining, StartsFromARouterOfAnotherNumberOfSteps) {
  const auto folder = test::scratch();
  const auto first = train_on_runs(runs(), folder);
  auto options = runs(1);
  options.spacing = "10";
  options.learning_rate = 1e-6;
  options.initial_router = (folder / "router.safetensors").string();
  const auto carried = train_on_runs(options, test::scratch());
  const auto expected = router_for(first.router, plan_shape(4, "10", {}, "ddim"));
  for (int row = 0; row < 10; ++row) {
    for (int unit = 0; unit < 8; ++unit) {
      EXPECT_NEAR(carried.router.logit(row, unit), expected.logit(row, unit), 1e-4);
    }
  }
  options.initial_router = "absent.safetensors";
  EXPECT_THAT([&] { train_on_runs(options, test::scratch()); },
              ThrowsMessage<InputError>(HasSubstr("absent.safetensors")));
}

TEST(TrajectoryTraining, ARouterSaysByWhichForecastItWasTrained) {
  const auto file = test::scratch() / "fit.safetensors";
  BranchProducts products(8, 8);
  for (int unit = 0; unit < 8; ++unit) products.add(unit, std::vector<double>(64, 1));
  products.save(file);
  auto options = runs(1);
  options.recall = fmt::format("fitted:{}@1", file.string());
  EXPECT_EQ(train_on_runs(options, test::scratch()).router.info().recall, "fitted:fit@1");
  options.spacing = "10";
  EXPECT_THAT([&] { train_on_runs(options, test::scratch()); },
              ThrowsMessage<InputError>(HasSubstr("for 8 evaluations of 8 units, the run has 10")));
}

TEST(TrajectoryTraining, OptionsOfTheOtherObjectiveAreRefused) {
  const auto expect = [](const char* part, auto change) {
    auto options = runs();
    change(options);
    EXPECT_THAT([&] { train_on_runs(options, test::scratch()); },
                ThrowsMessage<InputError>(HasSubstr(part)));
  };
  expect("flip: training on whole runs", [](auto& o) { o.flip = true; });
  expect("group 1: give 0, or at least 2", [](auto& o) { o.group = 1; });
  expect("taylor:ORDER", [](auto& o) { o.recall = "newton"; });
  expect("recall: only training on whole runs", [](auto& o) {
    o.trajectory = false;
    o.recall = "taylor:1";
  });
  expect("hard decisions: only", [](auto& o) {
    o.trajectory = false;
    o.hard = true;
  });
  expect("group: only", [](auto& o) {
    o.trajectory = false;
    o.group = 0;
  });
  expect("guidance: only", [](auto& o) {
    o.trajectory = false;
    o.guidance = 2;
  });
  EXPECT_THAT([] { train(runs(), test::scratch(), tiny_data()); },
              ThrowsMessage<InputError>(HasSubstr("needs no data")));
}

}  // namespace
}  // namespace l2c
