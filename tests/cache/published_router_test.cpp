#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/support.h"
#include "cache/torch_zip.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/router.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "support/golden.h"

namespace l2c {
namespace {

using test::message_of;
using test::PublishedFile;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::filesystem::path write(const PublishedFile& file) {
  std::filesystem::path path = test::scratch() / "published.pt";
  test::write_published(path, file);
  return path;
}

std::string load_message(const PublishedFile& file) {
  return message_of<InputError>([path = write(file)] { Router::load(path); });
}

// Collects what is logged while it lives.
class LogCatcher {
 public:
  LogCatcher() {
    set_log_handler([this](LogLevel, std::string_view message) { messages.emplace_back(message); });
  }
  ~LogCatcher() { set_log_handler({}); }
  LogCatcher(const LogCatcher&) = delete;
  LogCatcher& operator=(const LogCatcher&) = delete;
  std::vector<std::string> messages;
};

TEST(PublishedRouter, ReadsRowsInOrderAndWhatTheScriptLeft) {
  PublishedFile file;
  file.rows = {{"1.prob", {3, 4}}, {"0.prob", {1, 2}}};
  file.args = {{"l1", 5e-6}, {"num_sampling_steps", 2}, {"lr", 0.001}, {"max_steps", 50000}};
  file.model = "DiT-XL/2";
  const LogCatcher log;
  const Router router = Router::load(write(file));
  EXPECT_EQ(router.rows(), 2);
  EXPECT_EQ(router.units(), 2);
  EXPECT_EQ(router.logit(0, 1), 2);
  EXPECT_EQ(router.logit(1, 0), 3);
  EXPECT_EQ(router.info().lambda, 5e-6);
  EXPECT_EQ(router.info().spacing, "2");
  EXPECT_EQ(router.info().sampler, "ddim");
  EXPECT_EQ(router.info().threshold, std::nullopt);
  EXPECT_EQ(router.info().training,
            "published router (learning-to-cache): model DiT-XL/2, training steps 50000, learning "
            "rate 0.001");
  EXPECT_THAT(log.messages, IsEmpty());
}

TEST(PublishedRouter, ABareDictSaysNothing) {
  PublishedFile file;
  file.rows = {{"0.prob", {1, 2}}, {"1.prob", {3, 4}}};
  file.bare = true;
  const Router router = Router::load(write(file));
  EXPECT_EQ(router.logit(1, 1), 4);
  EXPECT_EQ(router.info().spacing, "");
  EXPECT_EQ(router.info().sampler, "");
  EXPECT_EQ(router.info().lambda, std::nullopt);
}

TEST(PublishedRouter, WarnsWhenItsArgumentsDisagreeWithItsRows) {
  PublishedFile file;
  file.rows = {{"0.prob", {1, 2}}, {"1.prob", {3, 4}}};
  file.args = {{"num_sampling_steps", 50}};
  const LogCatcher log;
  EXPECT_EQ(Router::load(write(file)).rows(), 2);
  EXPECT_THAT(log.messages,
              ElementsAre(AllOf(HasSubstr("published.pt"), HasSubstr("trained for 50 steps"),
                                HasSubstr("has 2 rows"))));
}

// The official samplers use "20" also for DDIM, so "ddim20" has other timesteps.
TEST(PublishedRouter, IsRejectedForTheDdimSpacing) {
  const LearnedRouter policy(Router::load(test::data("l2c/router_random.pt")), 0.5);
  EXPECT_THAT(message_of<InputError>([&] { (void)policy.plan(test::ddim_shape(4, 20, "ddim20")); }),
              AllOf(HasSubstr("router_random.pt"), HasSubstr("spacing \"20\""),
                    HasSubstr("those of \"ddim20\"")));
  EXPECT_EQ(policy.plan(test::ddim_shape(4, 20, "20"))->cache_step_branches(), 80);
}

TEST(PublishedRouter, RejectsRowsThatDoNotFitTogether) {
  PublishedFile gap;
  gap.rows = {{"0.prob", {1, 2}}, {"2.prob", {3, 4}}};
  EXPECT_THAT(load_message(gap), AllOf(HasSubstr("published.pt"), HasSubstr("row 1 is missing"),
                                       HasSubstr("its last row is 2")));
  PublishedFile late;
  late.rows = {{"1.prob", {1, 2}}};
  EXPECT_THAT(load_message(late), HasSubstr("row 0 is missing"));
  PublishedFile unequal;
  unequal.rows = {{"0.prob", {1, 2}}, {"1.prob", {3, 4, 5, 6}}};
  EXPECT_THAT(load_message(unequal), HasSubstr("row 1 has 4 units, row 0 has 2"));
  PublishedFile twice;
  twice.rows = {{"0.prob", {1, 2}}, {"00.prob", {3, 4}}};
  EXPECT_THAT(load_message(twice), HasSubstr("row 0 is there twice"));
  PublishedFile odd;
  odd.rows = {{"0.prob", {1, 2, 3}}};
  EXPECT_THAT(load_message(odd), HasSubstr("must be an even number"));
  EXPECT_THAT(load_message({}), HasSubstr("no rows"));
}

TEST(PublishedRouter, RejectsOtherEntries) {
  PublishedFile file;
  file.rows = {{"0.prob", {1, 2}}, {"x.prob", {3, 4}}};
  EXPECT_THAT(load_message(file), HasSubstr("unexpected entry 'x.prob'"));
  file.bare = true;
  EXPECT_THAT(load_message(file), HasSubstr("unexpected entry 'x.prob'"));
}

TEST(PublishedRouter, RejectsLogitsThatAreNotFinite) {
  PublishedFile file;
  file.rows = {{"0.prob", {1, 2}}, {"1.prob", {3, std::nanf("")}}};
  EXPECT_THAT(load_message(file),
              AllOf(HasSubstr("published.pt"), HasSubstr("row 1, unit 1 is nan")));
}

}  // namespace
}  // namespace l2c
