#include "l2c/core/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using l2c::LogLevel;

class Log : public testing::Test {
 protected:
  void TearDown() override { l2c::set_log_handler({}); }
};

TEST_F(Log, HandlerGetsLevelAndText) {
  std::vector<std::pair<LogLevel, std::string>> seen;
  l2c::set_log_handler(
      [&](LogLevel level, std::string_view text) { seen.emplace_back(level, text); });
  l2c::log::debug("one");
  l2c::log::info("two {} braces");
  l2c::log::warning("three");
  using Entry = std::pair<LogLevel, std::string>;
  EXPECT_THAT(seen, testing::ElementsAre(Entry{LogLevel::debug, "one"},
                                         Entry{LogLevel::info, "two {} braces"},
                                         Entry{LogLevel::warning, "three"}));
}

TEST_F(Log, LevelsBelowTheLeastAreDropped) {
  std::vector<std::string> seen;
  l2c::set_log_handler([&](LogLevel, std::string_view text) { seen.emplace_back(text); },
                       LogLevel::info);
  l2c::log::debug("one");
  l2c::log::info("two");
  l2c::log::warning("three");
  EXPECT_THAT(seen, testing::ElementsAre("two", "three"));
}

TEST_F(Log, WithoutHandlerNothingIsSaid) {
  int calls = 0;
  l2c::set_log_handler([&](LogLevel, std::string_view) { ++calls; });
  l2c::set_log_handler({});
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  l2c::log::warning("dropped");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(calls, 0);
}

TEST_F(Log, OneCallAtATime) {
  int inside = 0, most = 0, calls = 0;  // guarded by the log itself
  l2c::set_log_handler([&](LogLevel, std::string_view) {
    most = std::max(most, ++inside);
    ++calls;
    std::this_thread::yield();
    --inside;
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 200; ++k) l2c::log::info("x");
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(calls, 800);
}

}  // namespace
