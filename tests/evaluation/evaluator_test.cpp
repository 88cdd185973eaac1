#include "l2c/evaluation/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "evaluation_support.h"
#include "evaluator_requests.h"
#include "l2c/cache/pricing.h"
#include "l2c/core/error.h"
#include "l2c/io/folder_lock.h"
#include "support/golden.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class EvaluatorTest : public testing::Test {
 protected:
  static EvaluationOptions options() {
    EvaluationOptions options;
    options.request = test::small_request();
    options.seeds = {0, 7};
    options.images = 20;
    options.timing_rounds = 2;
    return options;
  }
  [[nodiscard]] std::vector<PolicySpec> policies() const {
    std::vector<PolicySpec> specs;
    for (const std::string& text : {std::string("full"), std::string("steps:3"),
                                    std::string("every:2"), "router:" + router_.string()}) {
      specs.push_back(parse_policy_spec(text));
    }
    return specs;
  }
  EvaluationReport run(const EvaluationOptions& options, const fs::path& work) const {
    return evaluate(pipeline_, network_, reference_, policies(), options, work);
  }
  void refuses(const std::vector<PolicySpec>& specs, const EvaluationOptions& options,
               const char* says) const {
    const auto work = test::scratch();
    EXPECT_THAT([&] { (void)evaluate(pipeline_, network_, reference_, specs, options, work); },
                testing::ThrowsMessage<InputError>(HasSubstr(says)));
    EXPECT_TRUE(fs::is_empty(work)) << says;
  }

  fs::path router_ = test::write_router("mine.safetensors");
  Pipeline pipeline_ = test::pixel_pipeline();
  test::QuadrantNetwork network_;
  ReferenceStatistics reference_ = measure_reference(test::random_data(50), network_);
};

TEST_F(EvaluatorTest, MeasuresEveryPolicyAndSeed) {
  const auto work = test::scratch();
  const auto report = run(options(), work);
  ASSERT_EQ(report.policies.size(), 4U);
  EXPECT_EQ(report.model.fingerprint, pipeline_.summary().fingerprint);
  EXPECT_EQ(report.network_fingerprint, "quadrants");
  for (const auto& policy : report.policies) {
    ASSERT_EQ(policy.seeds.size(), 2U);
    EXPECT_EQ(policy.seeds[0].seed, 0U);
    EXPECT_EQ(policy.seeds[1].seed, 7U);
    EXPECT_NE(policy.seeds[0].images_fingerprint, policy.seeds[1].images_fingerprint);
    EXPECT_GT(policy.seeds[0].seconds_per_image, 0);
    const double a = policy.seeds[0].quality.frechet;
    const double b = policy.seeds[1].quality.frechet;
    EXPECT_NEAR(policy.frechet.mean, (a + b) / 2, 1e-12 * a);
    EXPECT_NEAR(policy.frechet.deviation.value(), std::abs(a - b) / std::sqrt(2.0), 1e-9 * a);
    EXPECT_EQ(policy.pooled_accuracy.value,
              static_cast<double>(policy.seeds[0].quality.recognised +
                                  policy.seeds[1].quality.recognised) /
                  40);
  }
  EXPECT_TRUE(fs::exists(work / "steps-3" / "seed-7" / "shard-00000.safetensors"));
  EXPECT_THAT(test::names_in(work), testing::ElementsAre(StartsWith("every-2-"), "full",
                                                         StartsWith("mine@0.1-"), "steps-3"));
}

TEST_F(EvaluatorTest, PoliciesMakeDifferentImages) {
  const auto report = run(options(), test::scratch());
  std::set<std::string> fingerprints;
  for (const auto& policy : report.policies) {
    fingerprints.insert(policy.seeds[0].images_fingerprint);
  }
  EXPECT_EQ(fingerprints.size(), 4U);
}

TEST_F(EvaluatorTest, PoliciesOfOneNameHaveFoldersOfTheirOwn) {
  auto a = parse_policy_spec("every:2");
  auto b = a;
  a.identity = "smoothcache 1";
  b.identity = "smoothcache 2";
  const auto work = test::scratch();
  (void)evaluate(pipeline_, network_, reference_, {a, b}, options(), work);
  EXPECT_THAT(test::names_in(work),
              testing::ElementsAre(StartsWith("every-2-"), StartsWith("every-2-")));
  EXPECT_NE(folder_of(a, 0, work), folder_of(b, 0, work));
  EXPECT_EQ(folder_of(a, 0, work), folder_of(a, 0, work));
}

TEST_F(EvaluatorTest, CountsWorkAgainstComputingEverythingInAllSteps) {
  const auto report = run(options(), test::scratch());
  const auto& full = report.policies[0];
  const auto& steps = report.policies[1];
  const auto& every = report.policies[2];
  const auto& router = report.policies[3];
  EXPECT_NEAR(full.ideal_speedup, 1, 1e-12);
  EXPECT_EQ(full.computed_share, 1);
  EXPECT_EQ(full.cache_bytes, 0);
  EXPECT_EQ(steps.steps, 3);
  EXPECT_NEAR(steps.ideal_speedup, 2, 1e-12);
  EXPECT_EQ(steps.computed_share, 0.5);
  for (const auto* policy : {&every, &router}) {
    auto request = test::small_request();
    request.labels = {0};
    request.cache = policy->spec.policy;
    const auto price = l2c::price(pipeline_.plan(request).value(), pipeline_.cost());
    EXPECT_EQ(policy->steps, 6);
    EXPECT_NEAR(policy->ideal_speedup, price.ideal_speedup, 1e-12);
    EXPECT_NEAR(policy->computed_share, price.computed / 24.0, 1e-12);
    EXPECT_EQ(policy->cache_bytes, price.cache_bytes);
  }
  EXPECT_EQ(every.computed_share, 0.5);
}

TEST_F(EvaluatorTest, TimesAllPoliciesInTurn) {
  auto timed = options();
  timed.timing_rounds = 3;
  timed.seeds = {0};
  timed.request.steps = 60;
  const std::vector<PolicySpec> specs{parse_policy_spec("steps:6")};
  const auto report = evaluate(pipeline_, network_, reference_, specs, timed, test::scratch());
  EXPECT_EQ(report.full.speedup, 1);
  EXPECT_EQ(report.full.seconds.size(), 3U);
  EXPECT_EQ(report.policies[0].timing.seconds.size(), 3U);
  EXPECT_GT(report.policies[0].timing.speedup, 2);
}

TEST_F(EvaluatorTest, ThePolicyThatIsTheBaselineIsTimedOnce) {
  auto timed = options();
  timed.seeds = {0};
  for (const char* text : {"full", "steps:6"}) {
    const auto report =
        evaluate(pipeline_, network_, reference_,
                 {parse_policy_spec("every:2"), parse_policy_spec(text)}, timed, test::scratch());
    EXPECT_EQ(report.policies[1].timing.seconds, report.full.seconds) << text;
    EXPECT_EQ(report.policies[1].timing.speedup, 1) << text;
    EXPECT_NE(report.policies[0].timing.seconds, report.full.seconds);
  }
  EXPECT_EQ(timing_requests(policies(), timed, test::classes).size(),
            4U);  // and "full" is the first
  timed.request.steps.reset();
  timed.request.spacing = "3,3";
  EXPECT_FALSE(is_baseline(parse_policy_spec("steps:6"), timed)) << "spaced in another way";
  EXPECT_TRUE(is_baseline(parse_policy_spec("full"), timed));
}

TEST_F(EvaluatorTest, PoolsTheAccuracyOfAllSeeds) {
  const auto report = evaluate(pipeline_, network_, reference_, {parse_policy_spec("full")},
                               options(), test::scratch());
  const auto& policy = report.policies[0];
  const auto expected =
      share_interval(policy.seeds[0].quality.recognised + policy.seeds[1].quality.recognised, 40);
  EXPECT_EQ(policy.pooled_accuracy.value, expected.value);
  EXPECT_EQ(policy.pooled_accuracy.low, expected.low);
  EXPECT_EQ(policy.pooled_accuracy.high, expected.high);
}

TEST_F(EvaluatorTest, ASecondCallSamplesNothing) {
  const auto work = test::scratch();
  const auto first = run(options(), work);
  const auto second = run(options(), work);
  for (std::size_t k = 0; k < first.policies.size(); ++k) {
    const auto& a = first.policies[k].seeds[1];
    const auto& b = second.policies[k].seeds[1];
    EXPECT_EQ(a.images_fingerprint, b.images_fingerprint);
    EXPECT_EQ(a.seconds_per_image, b.seconds_per_image);  // those of the sampling
    EXPECT_EQ(a.quality.frechet, b.quality.frechet);
  }
}

TEST_F(EvaluatorTest, CancelledItGoesOnToTheSameBits) {
  const auto work = test::scratch();
  std::stop_source source;
  const auto cancelled = [&] {
    (void)evaluate(
        pipeline_, network_, reference_, policies(), options(), work,
        [&](const EvaluationProgress& progress) {
          if (progress.doing == "steps 3, seed 7" && progress.done >= 16) source.request_stop();
        },
        source.get_token());
  };
  EXPECT_THAT(cancelled, testing::ThrowsMessage<Cancelled>(HasSubstr("16 of 20 images")));
  EXPECT_FALSE(fs::exists(folder_of(parse_policy_spec("every:2"), 0, work).parent_path()));
  const auto resumed = run(options(), work);
  const auto whole = run(options(), test::scratch());
  for (std::size_t k = 0; k < whole.policies.size(); ++k) {
    for (std::size_t s = 0; s < 2; ++s) {
      EXPECT_EQ(resumed.policies[k].seeds[s].images_fingerprint,
                whole.policies[k].seeds[s].images_fingerprint);
    }
    EXPECT_EQ(resumed.policies[k].frechet.mean, whole.policies[k].frechet.mean);
  }
}

TEST_F(EvaluatorTest, RefusesAWorkFolderOfOtherSettings) {
  const auto work = test::scratch();
  (void)run(options(), work);
  auto other = options();
  other.request.guidance = 5;
  EXPECT_THAT([&] { (void)run(other, work); },
              testing::ThrowsMessage<InputError>(HasSubstr("guidance: 2 in the folder, 5 now")));
}

TEST_F(EvaluatorTest, RefusesAWorkFolderOfOtherSettingsBeforeSamplingAnything) {
  const auto work = test::scratch();
  auto other = options();
  other.request.guidance = 5;
  const auto every = parse_policy_spec("every:2");
  (void)evaluate(pipeline_, network_, reference_, {every}, other, work);
  // The last seed of the last policy.
  fs::remove_all(folder_of(every, 0, work));
  EXPECT_THAT(
      [&] {
        (void)evaluate(pipeline_, network_, reference_, {parse_policy_spec("full"), every},
                       options(), work);
      },
      testing::ThrowsMessage<InputError>(HasSubstr("guidance: 5 in the folder, 2 now")));
  EXPECT_THAT(test::names_in(work), testing::ElementsAre(StartsWith("every-2-")));
}

TEST_F(EvaluatorTest, SharesItsWorkFolderButNotASampleSet) {
  const auto work = test::scratch();
  const auto taken = work / "full" / "seed-7";
  const io::FolderLock somebody(taken, "folder", "another evaluation");
  const auto with = [&](const char* policy) {
    (void)evaluate(pipeline_, network_, reference_, {parse_policy_spec(policy)}, options(), work);
  };
  EXPECT_NO_THROW(with("every:2"));
  EXPECT_THAT([&] { with("full"); },
              testing::ThrowsMessage<InputError>(
                  testing::AllOf(HasSubstr("another evaluation"), HasSubstr(taken.string()))));
}

TEST_F(EvaluatorTest, TimesNoMoreImagesAtOnceThanItSamples) {
  auto large = options();
  large.request.batch_size = 2'000'000;
  EXPECT_EQ(timing_batch(large), 20);
  EXPECT_EQ(timing_batch(options()), 4);
  const auto report = evaluate(pipeline_, network_, reference_, {parse_policy_spec("full")}, large,
                               test::scratch());
  EXPECT_EQ(report.full.seconds.size(), 2U);
}

TEST_F(EvaluatorTest, ReportsWhatItDoes) {
  std::vector<std::string> doing;
  (void)evaluate(pipeline_, network_, reference_, {parse_policy_spec("every:2")}, options(),
                 test::scratch(), [&](const EvaluationProgress& progress) {
                   if (doing.empty() || doing.back() != progress.doing) {
                     doing.push_back(progress.doing);
                     EXPECT_EQ(progress.done, 0);
                   }
                   EXPECT_EQ(progress.of, progress.doing == "timing" ? 2 : 20);
                 });
  EXPECT_THAT(doing, testing::ElementsAre("every 2, seed 0", "every 2, seed 7", "timing"));
}

TEST_F(EvaluatorTest, RefusesBadOptionsBeforeAnyWork) {
  const std::vector<PolicySpec> full{parse_policy_spec("full")};
  refuses({}, options(), "no policies");
  auto bad = options();
  bad.seeds.clear();
  refuses(full, bad, "no seeds");
  bad.seeds = {1, 2, 1};
  refuses(full, bad, "seed 1 is given twice");
  bad = options();
  bad.images = 3;
  refuses(full, bad, "3 images: give at least 4");
  bad = options();
  bad.timing_rounds = 0;
  refuses(full, bad, "0 rounds");
  bad = options();
  bad.quality.neighbour = 0;
  refuses(full, bad, "neighbour 0");
  bad = options();
  bad.quality.inception_blocks = 0;
  refuses(full, bad, "0 blocks");
  bad = options();
  bad.quality.neighbour = 50;
  bad.images = 60;
  refuses(full, bad, "50 images to compare with; at least 51 are needed");
}

TEST_F(EvaluatorTest, RefusesPoliciesThatDoNotFitBeforeAnyWork) {
  const auto full = parse_policy_spec("full");
  refuses({full, full}, options(), "\"full\" is the same run as one before");
  refuses({full, parse_policy_spec("steps:6")}, options(), "\"steps:6\" is the same run");
  auto other_steps = options();
  other_steps.request.steps = 8;
  refuses({full, parse_policy_spec("router:" + router_.string())}, other_steps,
          "trained for 6 steps, the run has 8");
}

TEST_F(EvaluatorTest, RefusesATimingThatCannotWorkBeforeAnyWork) {
  // The policy has steps of its own, but it is timed against computing everything.
  auto bad = options();
  bad.request.steps = 1001;
  refuses({parse_policy_spec("steps:3")}, bad, "1001 steps");
  bad = options();
  bad.images = 2'000'000;
  bad.request.batch_size = 2'000'000;
  refuses({parse_policy_spec("full")}, bad, "2000000 images at once: 1000000 are the most");
}

TEST_F(EvaluatorTest, RefusesANetworkThatDoesNotFitBeforeAnyWork) {
  const auto work = test::scratch();
  const auto with = [&](const FeatureNetwork& network, const char* says) {
    EXPECT_THAT(
        [&] { (void)evaluate(pipeline_, network, reference_, policies(), options(), work); },
        testing::ThrowsMessage<InputError>(HasSubstr(says)));
    EXPECT_TRUE(fs::is_empty(work)) << says;
  };
  with(test::QuadrantNetwork(4, "other"), "measured with another network");
  with(test::QuadrantNetwork(3), "knows 3 classes, the images have 4");
}

TEST_F(EvaluatorTest, IsCheckedBeforeTheReferenceIsMeasured) {
  const auto data = test::random_data(50);
  const auto work = test::scratch();
  const std::vector<PolicySpec> full{parse_policy_spec("full")};
  const auto check = [&](const Pipeline& pipeline, const EvaluationOptions& wanted) {
    check_evaluation(pipeline, network_, data.info(), full, wanted, work);
  };
  EXPECT_NO_THROW(check(pipeline_, options()));
  EXPECT_TRUE(fs::is_empty(work));
  const auto without_null_label = test::pixel_pipeline(1, /*class_dropout=*/0);
  EXPECT_THAT([&] { check(without_null_label, options()); },
              testing::ThrowsMessage<InputError>(HasSubstr("guidance")));
  auto unguided = options();
  unguided.request.guidance = 1;
  EXPECT_NO_THROW(check(without_null_label, unguided));
  EXPECT_THAT(
      [&] {
        check_evaluation(pipeline_, network_, test::random_data(50, 5, 16).info(), full, options(),
                         work);
      },
      testing::ThrowsMessage<InputError>(HasSubstr("1 channels of 8 x 8 in 4 classes")));
}

TEST_F(EvaluatorTest, TellsLibTorchsErrorsInOurTerms) {
  EXPECT_THAT(
      [&] {
        (void)evaluate(pipeline_, test::BrokenNetwork(1), reference_, policies(), options(),
                       test::scratch());
      },
      testing::ThrowsMessage<RunError>(test::our_libtorch_error()));
}

TEST_F(EvaluatorTest, RefusesAReferenceOfOtherImages) {
  const auto larger = measure_reference(test::random_data(20, 5, 16), network_);
  EXPECT_THAT(
      [&] { (void)evaluate(pipeline_, network_, larger, policies(), options(), test::scratch()); },
      testing::ThrowsMessage<InputError>(HasSubstr("1 channels of 8 x 8 in 4 classes")));
}

TEST(Spread, IsMeanAndSampleStandardDeviation) {
  const auto three = spread({1, 2, 6});
  EXPECT_DOUBLE_EQ(three.mean, 3);
  EXPECT_DOUBLE_EQ(three.deviation.value(), std::sqrt(7.0));
  EXPECT_EQ(spread({4}).mean, 4);
  EXPECT_FALSE(spread({4}).deviation);  // unknown, not 0
  EXPECT_THAT([] { (void)spread({}); },
              testing::ThrowsMessage<InputError>(HasSubstr("at least one")));
}

}  // namespace
}  // namespace l2c
