#include "l2c/evaluation/policy_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "evaluation_support.h"
#include "l2c/cache/delta_dit.h"
#include "l2c/cache/first_block_cache.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/smooth_cache.h"
#include "l2c/cache/tea_cache.h"
#include "l2c/core/error.h"
#include "l2c/sampling/planning.h"
#include "support/golden.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::HasSubstr;

int reused(const PolicySpec& spec) {
  return spec.policy->plan(plan_shape(test::blocks, "", 6, "ddim")).value().reused();
}

TEST(PolicySpec, SaysWhichTextsOpenNoFile) {
  for (const auto* text : {"full", "every:2", "every:2,warm-up=3+taylor:1", "taylorseer:4,order=2",
                           "teacache:0.2", "first-block:0.1", "delta-dit:2", "steps:5"}) {
    EXPECT_TRUE(opens_no_file(text)) << text;
  }
  for (const auto* text : {"router:/etc/passwd", "l2c:x@0.5", "smoothcache:x", "every:2+fitted:x@2",
                           "x", "", "+fitted:x", "every:2+taylor:1+fitted:x", "/etc/passwd"}) {
    EXPECT_FALSE(opens_no_file(text)) << text;
  }
}

TEST(PolicySpec, FullComputesEverything) {
  const auto spec = parse_policy_spec("full");
  EXPECT_EQ(spec.name, "full");
  EXPECT_FALSE(spec.steps);
  EXPECT_FALSE(spec.threshold);
  EXPECT_EQ(reused(spec), 0);
}

TEST(PolicySpec, StepsComputesEverythingInFewerSteps) {
  const auto spec = parse_policy_spec("steps:14");
  EXPECT_EQ(spec.name, "steps 14");
  EXPECT_EQ(spec.steps, 14);
  EXPECT_EQ(reused(spec), 0);
  // Only the steps set it apart from "full".
  EXPECT_EQ(spec.identity, parse_policy_spec("full").identity);
}

TEST(PolicySpec, EveryReusesBetween) {
  const auto spec = parse_policy_spec("every:3");
  EXPECT_EQ(spec.name, "every 3");
  EXPECT_FALSE(spec.steps);
  EXPECT_EQ(reused(spec), 4 * 2 * test::blocks);
  EXPECT_NE(spec.identity, parse_policy_spec("every:2").identity);
}

TEST(PolicySpec, RouterWithThePapersThreshold) {
  const auto file = test::write_router("mine.safetensors");
  const auto spec = parse_policy_spec("router:" + file.string());
  EXPECT_EQ(spec.name, "mine@0.1");
  EXPECT_EQ(spec.threshold, 0.1);
  EXPECT_EQ(spec.router_fingerprint.size(), 32U);
  EXPECT_EQ(reused(spec), 3 * 3);
}

TEST(PolicySpec, RouterWithItsOwnThreshold) {
  const auto file = test::scratch() / "own.safetensors";
  RouterInfo info;
  info.threshold = 0.9;
  Router(6, 2 * test::blocks, std::vector<float>(24, 1.0F), info).save(file);
  EXPECT_EQ(parse_policy_spec("router:" + file.string()).threshold, 0.9);
  EXPECT_EQ(parse_policy_spec("router:" + file.string() + "@0.2").threshold, 0.2);
}

TEST(PolicySpec, RouterWithThatThreshold) {
  const auto file = test::write_router();
  const auto spec = parse_policy_spec("router:" + file.string() + "@0.9");
  EXPECT_EQ(spec.name, "router@0.9");
  EXPECT_EQ(reused(spec), 3 * 4);
  EXPECT_NE(spec.identity, parse_policy_spec("router:" + file.string() + "@0.5").identity);
}

TEST(PolicySpec, IdentityFollowsTheLogitsNotThePath) {
  const auto file = test::write_router("a.safetensors");
  const auto copy = test::write_router("b.safetensors");
  const auto other = test::scratch() / "a.safetensors";
  Router(6, 2 * test::blocks, std::vector<float>(24, 1.0F)).save(other);
  const auto identity = [](const std::filesystem::path& path) {
    return parse_policy_spec("router:" + path.string()).identity;
  };
  EXPECT_EQ(identity(file), identity(copy));
  EXPECT_NE(identity(file), identity(other));
}

TEST(PolicySpec, AFileMayBeNamedLikeAThreshold) {
  const auto file = test::write_router("r@0.5");
  const auto spec = parse_policy_spec("router:" + file.string());
  EXPECT_EQ(spec.threshold, 0.1);
  EXPECT_EQ(parse_policy_spec("router:" + file.string() + "@0.9").threshold, 0.9);
}

const CachePolicy& policy_of(const PolicySpec& spec) { return *spec.policy; }

TEST(PolicySpec, FirstBlockCacheWithItsOptions) {
  const auto plain = parse_policy_spec("first-block:0.25");
  EXPECT_EQ(plain.name, "first-block 0.25");
  EXPECT_FALSE(plain.steps);
  const auto defaults = dynamic_cast<const FirstBlockCache&>(policy_of(plain)).options();
  EXPECT_EQ(defaults.threshold, 0.25);
  EXPECT_EQ(defaults.blocks, FirstBlockOptions().blocks);
  const auto spec = parse_policy_spec("first-block:1,blocks=2,warm-up=3,most=4");
  EXPECT_EQ(spec.name, "first-block 1,blocks=2,warm-up=3,most=4");
  const auto options = dynamic_cast<const FirstBlockCache&>(policy_of(spec)).options();
  EXPECT_EQ(options.blocks, 2);
  EXPECT_EQ(options.warm_up, 3);
  EXPECT_EQ(options.most, 4);
  EXPECT_NE(spec.identity, plain.identity);
  // However it is written.
  EXPECT_EQ(parse_policy_spec("first-block:0.250,blocks=1").identity, plain.identity);
}

TEST(PolicySpec, TeaCacheWithItsOptions) {
  const auto plain = parse_policy_spec("teacache:0.25");
  EXPECT_EQ(dynamic_cast<const TeaCache&>(policy_of(plain)).options().coefficients,
            TeaCacheOptions().coefficients);
  const auto spec = parse_policy_spec("teacache:0.5,coefficients=2/-1.5/1e-1");
  const auto options = dynamic_cast<const TeaCache&>(policy_of(spec)).options();
  EXPECT_EQ(options.threshold, 0.5);
  EXPECT_EQ(options.coefficients, (std::vector<double>{2, -1.5, 0.1}));
  EXPECT_NE(spec.identity, parse_policy_spec("teacache:0.5").identity);
}

TEST(PolicySpec, DeltaDiTWithItsOptions) {
  // Of 2 blocks 1 is reused, at evaluations 1, 3 and 5.
  EXPECT_EQ(reused(parse_policy_spec("delta-dit:2")), 3 * 2);
  EXPECT_EQ(reused(parse_policy_spec("delta-dit:3,blocks=2")), 4 * 4);
  const auto spec = parse_policy_spec("delta-dit:2,boundary=0");
  EXPECT_EQ(dynamic_cast<const DeltaDiT&>(policy_of(spec)).options().boundary, 0);
  EXPECT_NE(spec.identity, parse_policy_spec("delta-dit:2").identity);
}

TEST(PolicySpec, RefusesOptionsThatAreNotThere) {
  const auto message = [](const std::string& text) {
    try {
      (void)parse_policy_spec(text);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_THAT(message("first-block:0.1,warmup=2"),
              HasSubstr("first-block has no option \"warmup\", but blocks, warm-up, most"));
  EXPECT_THAT(message("teacache:0.1,most=2"), HasSubstr("no option \"most\", but coefficients"));
  EXPECT_THAT(message("delta-dit:2,most=2"), HasSubstr("but blocks, boundary"));
  EXPECT_THAT(message("first-block:-1"), HasSubstr("\"-1\" is no number of at least 0"));
  EXPECT_THAT(message("first-block:"), HasSubstr("\"\" is no number of at least 0"));
  EXPECT_THAT(message("first-block:0.1,blocks=0"), HasSubstr("whole number from 1 to 1000"));
  EXPECT_THAT(message("delta-dit:0"), HasSubstr("\"0\" is no whole number from 1 to 1000"));
  EXPECT_THAT(message("delta-dit"), HasSubstr("it needs a value"));
}

TEST(PolicySpec, RefusesOtherFormsAndListsThose) {
  for (const char* text : {"", "fast", "Full", "taylor:2"}) {
    EXPECT_THAT(
        [&] { (void)parse_policy_spec(text); },
        testing::ThrowsMessage<InputError>(AllOf(
            HasSubstr("policy \"" + std::string(text) + "\": no such policy"),
            HasSubstr("give one of full, steps:N, every:N,warm-up=W, router:FILE@THRESHOLD,"))));
  }
}

TEST(PolicySpec, WarmUpComputesMoreAtTheStart) {
  const auto spec = parse_policy_spec("every:3,warm-up=2");
  EXPECT_EQ(spec.name, "every 3 after 2");
  EXPECT_EQ(reused(spec), 3 * 2 * test::blocks);
  EXPECT_EQ(parse_policy_spec("every:3,warm-up=1").identity, parse_policy_spec("every:3").identity);
}

TEST(PolicySpec, ARecallFollowsThePolicy) {
  const auto latest = parse_policy_spec("every:2");
  const auto spec = parse_policy_spec("every:2+taylor:1");
  EXPECT_EQ(spec.text, "every:2+taylor:1");
  EXPECT_EQ(spec.name, "every 2+taylor:1");
  EXPECT_EQ(spec.identity, "every 2, taylor:1");
  EXPECT_EQ(reused(spec), reused(latest));
  const auto stored = [](const PolicySpec& policy) {
    return policy.policy->plan(plan_shape(test::blocks, "", 6, "ddim")).value().peak_stored();
  };
  EXPECT_EQ(stored(spec), 2 * stored(latest));
  EXPECT_EQ(parse_policy_spec("every:2+latest").identity, latest.identity);
  const auto file = test::write_router("r+s.safetensors");
  EXPECT_EQ(parse_policy_spec("router:" + file.string()).name, "r+s@0.1");
  EXPECT_EQ(parse_policy_spec("l2c:" + file.string() + "@0.5+chebyshev:2").name,
            "r+s@0.5+chebyshev:2");
}

TEST(PolicySpec, ARouterHasTheRecallItWasTrainedWith) {
  const auto file = test::scratch() / "own.safetensors";
  const auto save = [&](const char* recall) {
    Router(6, 2 * test::blocks, std::vector<float>(24, 1.0F), {.recall = recall}).save(file);
  };
  const auto text = "router:" + file.string();
  save("taylor:1");
  EXPECT_EQ(parse_policy_spec(text).identity, parse_policy_spec(text + "+taylor:1").identity);
  EXPECT_EQ(parse_policy_spec(text).name, "own@0.1+taylor:1");
  EXPECT_EQ(parse_policy_spec(text).recall, "taylor:1");
  EXPECT_FALSE(parse_policy_spec(text).recall_given) << "the file's";
  EXPECT_TRUE(parse_policy_spec(text + "+taylor:1").recall_given);
  EXPECT_NE(parse_policy_spec(text).identity, parse_policy_spec(text + "+latest").identity);
  save("fitted:mine@2");
  EXPECT_EQ(parse_policy_spec(text + "+taylor:2").name, "own@0.1+taylor:2");
  EXPECT_THAT([&] { (void)parse_policy_spec(text); },
              testing::ThrowsMessage<InputError>(HasSubstr("was trained with the forecast")));
}

TEST(PolicySpec, ForecastersAreEveryNWithARecall) {
  const auto taylor = parse_policy_spec("taylorseer:3,order=2");
  EXPECT_EQ(taylor.identity, parse_policy_spec("every:3,warm-up=2+taylor:2").identity);
  EXPECT_EQ(parse_policy_spec("taylorseer:4").identity,
            parse_policy_spec("every:4,warm-up=2+taylor:4").identity);
  EXPECT_EQ(parse_policy_spec("chebbooster:3,order=3,warm-up=1").identity,
            parse_policy_spec("every:3+chebyshev:3").identity);
  EXPECT_TRUE(taylor.recall_given);
  EXPECT_FALSE(parse_policy_spec("every:3").recall_given);
}

TEST(PolicySpec, ASmoothCacheScheduleIsOneForItsSteps) {
  const auto file = test::scratch() / "6-steps.json";
  SmoothCache({{"attn", {1, 0, 1, 0, 1, 1}}}).save(file);
  const auto spec = parse_policy_spec("smoothcache:" + file.string());
  EXPECT_EQ(spec.name, "smoothcache 6-steps");
  EXPECT_EQ(spec.made_for_steps, 6);
  EXPECT_EQ(reused(spec), 2 * test::blocks);
}

TEST(PolicySpec, RefusesWhatMakesNoSense) {
  const auto expect = [](const std::string& text, const std::string& part) {
    EXPECT_THAT([&] { (void)parse_policy_spec(text); },
                testing::ThrowsMessage<InputError>(HasSubstr(part)))
        << text;
  };
  expect("full:3", "full has no value");
  expect("full+taylor:1", "nothing to recall");
  expect("steps:4+taylor:1", "nothing to recall");
  expect("every:2+taylor:9", "give 1 to 8");
  expect("every:2,warm-up=0", "is no whole number from 1 to 1000");
  expect("every:2,order=1", "has no option \"order\", but warm-up");
  expect("taylorseer:2,order=9", "is no whole number from 1 to 8");
  expect("smoothcache:", "no schedule file is named");
  expect("smoothcache:absent.json", "absent.json");
}

TEST(PolicySpec, RefusesNumbersOutsideTheirRange) {
  for (const char* text : {"steps:0", "steps:1001", "steps:", "steps:4x", "steps:-3", "every:0",
                           "every:two", "every:2.5"}) {
    EXPECT_THAT([&] { (void)parse_policy_spec(text); },
                testing::ThrowsMessage<InputError>(
                    AllOf(HasSubstr(text), HasSubstr("is no whole number from 1 to 1000"))));
  }
  const auto file = test::write_router();
  EXPECT_THAT([&] { (void)parse_policy_spec("router:" + file.string() + "@1.5"); },
              testing::ThrowsMessage<InputError>(HasSubstr("between 0 and 1, not 1.5")));
}

TEST(PolicySpec, RefusesRoutersThatAreNotThere) {
  EXPECT_THAT([] { (void)parse_policy_spec("router:"); },
              testing::ThrowsMessage<InputError>(HasSubstr("no router file is named")));
  EXPECT_THAT([] { (void)parse_policy_spec("router:@0.5"); },
              testing::ThrowsMessage<InputError>(HasSubstr("no router file is named")));
  EXPECT_THAT([] { (void)parse_policy_spec("router:absent.pt@0.5"); },
              testing::ThrowsMessage<InputError>(HasSubstr("absent.pt")));
}

}  // namespace
}  // namespace l2c
