#include "l2c/sweep/grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "evaluation_support.h"
#include "l2c/cache/router.h"
#include "l2c/core/error.h"
#include "support/golden.h"

namespace l2c {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::string> texts(const SweepGrid& grid, int steps = 20) {
  Request request;
  request.steps = steps;
  std::vector<std::string> found;
  for (const auto& spec : expand(grid, request)) found.push_back(spec.text);
  return found;
}

TEST(SweepGrid, KeepsPoliciesAsTheyAreAfterComputingEverything) {
  EXPECT_THAT(texts({.policies = {"every:2", "steps:10", "every:3+taylor:1"}}),
              ElementsAre("full", "every:2", "steps:10", "every:3+taylor:1"));
}

TEST(SweepGrid, CrossesRecallsWithWhatReusesAndNamesNone) {
  EXPECT_THAT(texts({.policies = {"every:2", "steps:10", "every:3+taylor:1", "taylorseer:2"},
                     .recalls = {"latest", "taylor:1", "chebyshev:2"}}),
              ElementsAre("full", "every:2", "steps:10", "every:3+taylor:1", "taylorseer:2",
                          "every:2+taylor:1", "every:2+chebyshev:2"));
}

TEST(SweepGrid, CrossesThresholdsWithRoutersThatNameNone) {
  const auto router = "router:" + test::write_router().string();
  EXPECT_THAT(
      texts({.policies = {router, router + "@0.9", "every:2"},
             .recalls = {"taylor:1"},
             .thresholds = {0.1, 0.5}}),
      ElementsAre("full", router, router + "@0.9", "every:2", router + "@0.5", router + "+taylor:1",
                  router + "@0.9+taylor:1", "every:2+taylor:1", router + "@0.5+taylor:1"))
      << "0.1 is the router's own threshold";
}

TEST(SweepGrid, ARouterWhoseRecallIsNamedTakesNoThreshold) {
  const auto router = "router:" + test::write_router().string();
  EXPECT_THAT(texts({.policies = {router, router + "+taylor:1"}, .thresholds = {0.5}}),
              ElementsAre("full", router, router + "+taylor:1", router + "@0.5"));
}

// What a router was trained with is one more point, not the only one.
TEST(SweepGrid, ARouterWithARecallOfItsOwnTakesOthersToo) {
  const auto path = test::scratch() / "own.safetensors";
  Router(20, 4, std::vector<float>(80, -3), {.recall = "taylor:1"}).save(path);
  const auto router = "router:" + path.string();
  EXPECT_THAT(
      texts({.policies = {router},
             .recalls = {"latest", "taylor:1", "chebyshev:2"},
             .thresholds = {0.5}}),
      ElementsAre("full", router, router + "@0.5", router + "+latest", router + "+chebyshev:2",
                  router + "@0.5+latest", router + "@0.5+chebyshev:2"));
}

TEST(SweepGrid, EqualRunsOnce) {
  const auto router = "router:" + test::write_router().string();
  const auto copy = test::scratch() / "copy.safetensors";
  std::filesystem::copy_file(test::write_router(), copy,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(
      texts({.policies = {"full", "steps:20", "every:2", "every:2+latest", router,
                          "l2c:" + copy.string(), "every:2,warm-up=2+taylor:4", "taylorseer:2"}}),
      ElementsAre("full", "every:2", router, "every:2,warm-up=2+taylor:4"));
  EXPECT_THAT(texts({.policies = {"steps:20"}}, 10), ElementsAre("full", "steps:20"));
}

TEST(SweepGrid, TheStandardGridDependsOnTheSteps) {
  EXPECT_THAT(texts({.policies = {}, .standard = true}),
              ElementsAre("full", "steps:18", "steps:16", "steps:14", "steps:12", "steps:10",
                          "steps:8", "steps:6", "every:2", "every:3", "every:4", "every:2+taylor:1",
                          "every:2+taylor:2", "every:2+chebyshev:2", "every:3+taylor:1",
                          "every:3+taylor:2", "every:3+chebyshev:2", "every:4+taylor:1",
                          "every:4+taylor:2", "every:4+chebyshev:2"));
  EXPECT_THAT(
      texts({.policies = {}, .recalls = {"latest"}, .standard = true}, 4),
      ElementsAre("full", "steps:3", "steps:2", "steps:1", "every:2", "every:3", "every:4"));
}

TEST(SweepGrid, TheStandardGridForecastsWithRoutersToo) {
  const auto router = "router:" + test::write_router().string();
  EXPECT_THAT(texts({.policies = {router}, .standard = true}, 6),
              testing::IsSupersetOf({router, router + "+taylor:1", router + "+chebyshev:2"}));
}

TEST(SweepGrid, RefusesWhatIsNoGrid) {
  const auto refused = [](const SweepGrid& grid, const char* says) {
    EXPECT_THAT([&] { (void)texts(grid); }, ThrowsMessage<InputError>(HasSubstr(says)));
  };
  refused({}, "nothing to compare with");
  refused({.policies = {"full"}}, "--policies, or --grid");
  refused({.policies = {"fast"}}, "no such policy");
  refused({.policies = {"steps:10"}, .recalls = {"taylor:1"}}, "recalls without a policy");
  refused({.policies = {"every:2"}, .recalls = {"tailor:1"}}, "tailor:1");
  refused({.policies = {"every:2"}, .thresholds = {0.5}}, "thresholds without a router");
  const auto router = "router:" + test::write_router().string();
  refused({.policies = {router + "@0.3"}, .thresholds = {0.5}}, "thresholds without a router");
  refused({.policies = {router}, .thresholds = {1.5}}, "1.5");
}

TEST(FamilyOf, TellsKindsAndForecastsApart) {
  const auto family = [](const std::string& text) { return family_of(parse_policy_spec(text)); };
  const auto router = test::write_router().string();
  EXPECT_EQ(family("full"), "computes everything");
  EXPECT_EQ(family("steps:3"), "fewer steps");
  EXPECT_EQ(family("every:2"), "every N");
  EXPECT_EQ(family("every:2+latest"), "every N");
  EXPECT_EQ(family("every:2+taylor:1"), "every N + forecast");
  EXPECT_EQ(family("router:" + router), "router");
  EXPECT_EQ(family("l2c:" + router + "+chebyshev:2"), "router + forecast");
  EXPECT_EQ(family("taylorseer:3"), "taylorseer");
}

}  // namespace
}  // namespace l2c
