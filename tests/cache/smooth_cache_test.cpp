#include "l2c/cache/smooth_cache.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cache/support.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::ddim_shape;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::filesystem::path write(const std::string& text) {
  const auto file = std::filesystem::path(testing::TempDir()) / "5-steps.json";
  std::ofstream(file) << text;
  return file;
}

TEST(SmoothCacheTest, AnEntryIsForAllBlocks) {
  const auto policy =
      SmoothCache::load(write(R"({"attn": [1, 0, 0, 1, 1], "mlp": [1, 1, 0, 0, 1]})"));
  EXPECT_EQ(policy.name(), "smoothcache 5-steps");
  EXPECT_EQ(policy.evaluations(), 5);
  CachePlan expected(5, 4);
  for (const int unit : {0, 2}) {
    expected.reuse(1, unit);
    expected.reuse(2, unit);
    expected.reuse(2, unit + 1);
    expected.reuse(3, unit + 1);
  }
  EXPECT_EQ(*policy.plan(ddim_shape(2, 5)), expected);
}

TEST(SmoothCacheTest, ABlocksOwnEntryGoesFirstAndWhatIsNotNamedIsComputed) {
  const SmoothCache policy({{"ff-1", {1, 0, 0}}, {"attn1", {1, 0, 1}}, {"attn1-0", {1, 1, 0}}});
  CachePlan expected(3, 4);
  expected.reuse(2, 0);
  expected.reuse(1, 2);
  expected.reuse(1, 3);
  expected.reuse(2, 3);
  EXPECT_EQ(*policy.plan(ddim_shape(2, 3)), expected);
}

TEST(SmoothCacheTest, IsReadAsItWasSaved) {
  const SmoothCache made({{"attn", {1, 0, 1}}, {"mlp-1", {1, 1, 0}}});
  const auto file = std::filesystem::path(testing::TempDir()) / "saved.json";
  made.save(file);
  const auto read = SmoothCache::load(file);
  EXPECT_EQ(read.schedule(), made.schedule());
  EXPECT_EQ(read.fingerprint(), made.fingerprint());
  EXPECT_NE(read.fingerprint(), SmoothCache({{"attn", {1, 0, 1}}}).fingerprint());
}

TEST(SmoothCacheTest, RefusesOtherRuns) {
  const auto policy = SmoothCache::load(write(R"({"attn-1": [1, 0, 0, 1, 1]})"));
  EXPECT_THAT(message_of<InputError>([&] { (void)policy.plan(ddim_shape(2, 6)); }),
              AllOf(HasSubstr("5-steps.json"), HasSubstr("is for 5 steps, the run has 6")));
  EXPECT_THAT(message_of<InputError>([&] { (void)policy.plan(ddim_shape(1, 5)); }),
              HasSubstr("names \"attn-1\", the model has blocks 0 to 0"));
}

TEST(SmoothCacheTest, RefusesWhatIsNoSchedule) {
  const auto message = [](const std::string& text) {
    const auto file = write(text);
    return message_of<InputError>([&] { (void)SmoothCache::load(file); });
  };
  EXPECT_THAT(message(""), AllOf(HasSubstr("5-steps.json"), HasSubstr("is not JSON")));
  EXPECT_THAT(message("7"), HasSubstr("5-steps.json"));
  EXPECT_THAT(message("[[1, 0]]"), HasSubstr("\"0\" is none of attn"));
  for (const char* steps : {"3", "[1, \"0\"]", "[1, 0.5]", "[1, true]", "null"}) {
    EXPECT_THAT(message(fmt::format(R"({{"attn": {}}})", steps)),
                AllOf(HasSubstr("5-steps.json"), HasSubstr("give a list of whole numbers")))
        << steps;
  }
  EXPECT_THAT(message(R"({"attn": [1, 0], "attn1": [1, 1]})"),
              HasSubstr("\"attn\" and \"attn1\" are for the same branches"));
  EXPECT_THAT(message("{}"), HasSubstr("no entries"));
  EXPECT_THAT(message(R"({"norm": [1]})"), HasSubstr("\"norm\" is none of attn, attn1, mlp"));
  EXPECT_THAT(message(R"({"attn-x": [1]})"), HasSubstr("\"attn-x\" is none of"));
  EXPECT_THAT(message(R"({"attn": [1], "mlp": [1, 0]})"), HasSubstr("has 2 steps, another one 1"));
  EXPECT_THAT(message(R"({"attn": []})"), HasSubstr("has no steps"));
  EXPECT_THAT(message(R"({"attn": [1, 2]})"), HasSubstr("holds 2: give 1 for computed"));
  EXPECT_THAT(message(R"({"attn": [0, 1]})"), HasSubstr("reuses in the first step"));
  EXPECT_THAT(message_of<InputError>([] { (void)SmoothCache::load("absent.json"); }),
              HasSubstr("absent.json"));
}

}  // namespace
}  // namespace l2c
