#include "l2c/sweep/sweep.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "evaluation_support.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/sweep/choice.h"
#include "l2c/sweep/files.h"
#include "l2c/sweep/grid.h"
#include "support/golden.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

SweepOptions small_sweep() {
  SweepOptions options;
  options.evaluation.request = test::small_request();
  options.evaluation.seeds = {0, 1};
  options.evaluation.images = 8;
  options.evaluation.timing_rounds = 1;
  options.reporting_seeds = {5, 6};
  options.budgets = {{.kind = SweepBudget::Kind::quality, .value = 1e6},
                     {.kind = SweepBudget::Kind::speedup, .value = 1e6}};
  options.images_shown = 6;
  options.command = "l2c sweep ...";
  options.use = [](const PolicySpec& spec) { return "use " + spec.text; };
  options.reproduce = [](const PolicySpec& spec, const std::vector<std::uint64_t>& seeds) {
    return fmt::format("measure {} on {}", spec.text, fmt::join(seeds, " "));
  };
  return options;
}

class SweepTest : public testing::Test {
 protected:
  SweepTest()
      : pipeline_(test::pixel_pipeline()),
        reference_(measure_reference(test::random_data(50), network_)) {}

  [[nodiscard]] std::vector<PolicySpec> specs(const std::vector<std::string>& policies) const {
    return expand({.policies = policies}, options_.evaluation.request);
  }

  SweepRecord run(const std::vector<std::string>& policies) {
    doing_.clear();
    return sweep(
        pipeline_, network_, reference_, specs(policies), options_, work_,
        [&](const EvaluationProgress& progress) { doing_[progress.doing] = progress.done; });
  }

  // When each file of images was written.
  [[nodiscard]] std::map<std::string, fs::file_time_type> shards() const {
    std::map<std::string, fs::file_time_type> found;
    for (const auto& entry : fs::recursive_directory_iterator(work_)) {
      if (entry.path().filename().string().starts_with("shard-")) {
        found[entry.path().string()] = fs::last_write_time(entry.path());
      }
    }
    return found;
  }

  test::QuadrantNetwork network_;
  Pipeline pipeline_;
  ReferenceStatistics reference_;
  SweepOptions options_ = small_sweep();
  fs::path work_ = test::scratch() / "work";
  std::map<std::string, std::int64_t> doing_;
};

TEST_F(SweepTest, ChoosesByOneSetOfSeedsAndReportsAnother) {
  const auto record = run({"steps:3", "every:2", "every:2+taylor:1"});
  ASSERT_EQ(record.points.size(), 4U);
  EXPECT_EQ(record.points[0].policy, "full");
  EXPECT_EQ(record.choosing_seeds, (std::vector<std::uint64_t>{0, 1}));
  EXPECT_EQ(record.reporting_seeds, (std::vector<std::uint64_t>{5, 6}));
  EvaluationOptions again = options_.evaluation;
  again.seeds = {5, 6};
  const auto evaluated =
      evaluate(pipeline_, network_, reference_, specs({"steps:3"}), again, work_ / "other");
  EXPECT_EQ(record.points[0].reporting.value().frechet.mean, evaluated.policies[0].frechet.mean);
  EXPECT_NE(record.points[0].choosing.frechet.mean, evaluated.policies[0].frechet.mean);
  std::vector<CostAndLoss> numbers;
  for (const auto& point : record.points) {
    numbers.push_back({1 / point.choosing.speedup, point.choosing.frechet.mean});
  }
  const auto front = pareto_front(numbers);
  for (std::size_t k = 0; k < record.points.size(); ++k) {
    const bool on_front = std::find(front.begin(), front.end(), k) != front.end();
    EXPECT_EQ(record.points[k].on_front, on_front);
    const bool recommended = record.recommendations[0].point == k;
    const bool reported = k == 0 || on_front || recommended;
    EXPECT_EQ(record.points[k].reporting.has_value(), reported);
    EXPECT_EQ(record.points[k].images.starts_with("iVBORw0KGgo"), reported);
    EXPECT_THAT(record.points[k].reproduce, testing::EndsWith(reported ? " on 5 6" : " on 0 1"));
  }
  EXPECT_FALSE(record.recommendations[1].point);
}

TEST_F(SweepTest, PointsKnowTheirWorkPlanAndCommands) {
  const auto router = "router:" + test::write_router().string() + "@0.5";
  const auto record = run({"steps:3", "every:2", router});
  const auto& [full, steps, every, routed] =
      std::tie(record.points[0], record.points[1], record.points[2], record.points[3]);
  EXPECT_DOUBLE_EQ(full.flops, 2.0 * 2 * 6 * pipeline_.cost().total().truth);
  EXPECT_DOUBLE_EQ(steps.flops, full.flops / 2);
  EXPECT_EQ(steps.steps, 3);
  EXPECT_EQ(steps.plan.value().evaluations(), 3);
  EXPECT_EQ(every.plan.value().reused(), 3 * 4);
  EXPECT_EQ(routed.plan.value().reused(), 3 * 3) << "every second step, 3 of its 4 branches";
  EXPECT_GT(every.cache_bytes, 0);
  EXPECT_EQ(routed.family, "router");
  EXPECT_EQ(every.use, "use every:2");
  EXPECT_THAT(routed.reproduce, testing::StartsWith("measure " + router + " on "));
  EXPECT_EQ(record.command, "l2c sweep ...");
  EXPECT_EQ(record.images_shown, 6);
  const auto kid = fmt::format("{}", options_.evaluation.quality.kid_images);
  EXPECT_THAT(record.settings, testing::IsSupersetOf(SweepFacts{
                                   {"dtype", "fp32"}, {"kid images", kid}, {"steps", "6"}}));
  EXPECT_THAT(record.machine, testing::Contains(testing::Pair("device", "cpu")));
  EXPECT_THAT(record.fingerprints, testing::Contains(testing::Pair(
                                       "model: fingerprint", pipeline_.summary().fingerprint)));
  EXPECT_DOUBLE_EQ(full.choosing.above_full.mean, 0);
  EXPECT_EQ(full.choosing.above_full.deviation, 0);
  const auto& by_seed = every.choosing.frechet_by_seed;
  const auto& base = full.choosing.frechet_by_seed;
  EXPECT_NEAR(every.choosing.above_full.mean,
              50 * (by_seed[0] / base[0] + by_seed[1] / base[1]) - 100, 1e-9);
}

TEST_F(SweepTest, ASecondRunSamplesNothingAnew) {
  const auto first = run({"steps:3", "every:2"});
  const auto kept = shards();
  EXPECT_TRUE(doing_.contains("choosing: every 2, seed 1"));
  EXPECT_TRUE(doing_.contains("reporting: full, seed 5"));
  const auto second = run({"steps:3", "every:2"});
  EXPECT_EQ(shards(), kept);
  for (const auto& [doing, done] : doing_) EXPECT_THAT(doing, testing::StartsWith("reporting: "));
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(second.points[k].choosing.seconds_per_image,
              first.points[k].choosing.seconds_per_image)
        << "the choice is by the same numbers";
    EXPECT_EQ(second.points[k].on_front, first.points[k].on_front);
    EXPECT_EQ(second.points[k].images, first.points[k].images);
  }
}

TEST_F(SweepTest, GoesOnWhereItWasStopped) {
  std::stop_source stop;
  const auto all = specs({"steps:3", "every:2"});
  EXPECT_THROW((void)sweep(
                   pipeline_, network_, reference_, all, options_, work_,
                   [&](const EvaluationProgress& progress) {
                     if (progress.doing == "choosing: every 2, seed 0") stop.request_stop();
                   },
                   stop.get_token()),
               Cancelled);
  const auto kept = shards();
  EXPECT_FALSE(kept.empty());
  const auto record = run({"steps:3", "every:2"});
  const auto now = shards();
  for (const auto& [file, time] : kept) EXPECT_EQ(now.at(file), time) << file;
  work_ = test::scratch() / "whole";
  const auto whole = run({"steps:3", "every:2"});
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(record.points[k].choosing.frechet_by_seed, whole.points[k].choosing.frechet_by_seed);
  }
}

TEST_F(SweepTest, WhatIsKeptOfOtherSettingsOrDamagedIsMeasuredAgain) {
  (void)run({"every:2"});
  (void)run({"every:2", "steps:3"});
  EXPECT_TRUE(doing_.contains("choosing: timing")) << "other points";
  options_.evaluation.timing_rounds = 2;
  (void)run({"every:2", "steps:3"});
  EXPECT_TRUE(doing_.contains("choosing: timing")) << "other rounds";
  options_.evaluation.quality.kid_images = 5;
  (void)run({"every:2", "steps:3"});
  EXPECT_TRUE(doing_.contains("choosing: timing")) << "another KID";
  options_.device = "cuda:1";
  (void)run({"every:2", "steps:3"});
  EXPECT_TRUE(doing_.contains("choosing: timing")) << "another device";
  (void)run({"every:2", "steps:3"});
  EXPECT_FALSE(doing_.contains("choosing: timing")) << "the same again";
  for (const auto& entry : fs::directory_iterator(work_)) {
    if (!entry.path().filename().string().starts_with("choosing-")) continue;
    io::AtomicFile file(entry.path());
    file.write("{\"format\"");
    file.commit();
  }
  (void)run({"every:2", "steps:3"});
  EXPECT_TRUE(doing_.contains("choosing: timing")) << "damaged";
}

TEST_F(SweepTest, RefusesBeforeAnyWork) {
  const auto refused = [&](const std::vector<PolicySpec>& all, const SweepOptions& options,
                           const char* says) {
    EXPECT_THAT([&] { (void)sweep(pipeline_, network_, reference_, all, options, work_); },
                ThrowsMessage<InputError>(HasSubstr(says)));
    EXPECT_THAT(
        [&] {
          check_sweep(pipeline_, network_, test::random_data(50).info(), all, options, work_);
        },
        ThrowsMessage<InputError>(HasSubstr(says)));
  };
  auto options = small_sweep();
  options.reporting_seeds = {5, 1};
  refused(specs({"every:2"}), options, "seed 1 is to choose and to report");
  options.reporting_seeds = {};
  refused(specs({"every:2"}), options, "no seeds to report");
  options = small_sweep();
  options.budgets[0].value = -1;
  refused(specs({"every:2"}), options, "a budget of -1 %");
  options = small_sweep();
  options.images_shown = 0;
  refused(specs({"every:2"}), options, "0 images to show");
  options.images_shown = 201;
  refused(specs({"every:2"}), options, "201 images to show: give 1 to 200");
  refused(std::vector<PolicySpec>(1001, parse_policy_spec("full")), small_sweep(),
          "1001 points: at most 1000");
  options = small_sweep();
  options.evaluation.seeds = {};
  refused(specs({"every:2"}), options, "no seeds to choose by");
  options = small_sweep();
  options.evaluation.request.steps = 5;
  refused(specs({"router:" + test::write_router().string()}), options,
          "was trained for 6 steps, the run has 5");
  refused({parse_policy_spec("every:2")}, small_sweep(), "first point is \"full\"");
  EXPECT_FALSE(fs::exists(work_));
}

}  // namespace
}  // namespace l2c
