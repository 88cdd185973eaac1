#include "fastest.h"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace l2c {
namespace {

using ops::Fastest;
using ops::measure_all;

TEST(Fastest, TakesTheLeastTimeAndTheFirstOfEqualOnes) {
  const std::vector<double> times = {3, 1, 2, 1};
  const auto measured = measure_all(times.size(), [&](std::size_t i) { return times[i]; });
  EXPECT_EQ(measured.fastest, 1U);
  EXPECT_TRUE(measured.failures.empty());
}

TEST(Fastest, LeavesOutWhatCannotDoIt) {
  const auto measured = measure_all(4, [&](std::size_t i) -> double {
    if (i == 0) throw std::runtime_error("no such head size");
    if (i == 1) TORCH_CHECK(false, "fp32 is not supported");
    return static_cast<double>(10 - i);
  });
  EXPECT_EQ(measured.fastest, 3U);
  EXPECT_THAT(measured.failures, testing::HasSubstr("[0] no such head size"));
  EXPECT_THAT(measured.failures, testing::HasSubstr("[1] fp32 is not supported"));
}

TEST(Fastest, MeasuresOnceForEachKey) {
  Fastest<std::string> fastest;
  int measurements = 0;
  const auto choose = [&](const std::string& key, std::size_t best) {
    return fastest.choose(key, 3, [&](std::size_t i) {
      ++measurements;
      return i == best ? 1.0 : 2.0;
    });
  };
  EXPECT_EQ(fastest.chosen("a"), std::nullopt);
  EXPECT_EQ(choose("a", 2), 2U);
  EXPECT_EQ(choose("b", 1), 1U);
  EXPECT_EQ(choose("a", 0), 2U) << "decided before";
  EXPECT_EQ(fastest.chosen("b"), 1U);
  EXPECT_EQ(measurements, 6);
}

TEST(Fastest, RemembersNothingWhenNoneCanDoIt) {
  Fastest<int> fastest;
  try {
    fastest.choose(1, 2,
                   [](std::size_t i) -> double { throw std::runtime_error(i ? "two" : "one"); });
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("one"), testing::HasSubstr("two")));
  }
  EXPECT_EQ(fastest.chosen(1), std::nullopt);
  EXPECT_EQ(fastest.choose(1, 2, [](std::size_t i) { return i == 1 ? 1.0 : 2.0; }), 1U);
}

// With more memory the candidate might be the fastest, and the caller knows what to do about it.
TEST(Fastest, WantOfMemoryReachesTheCaller) {
  Fastest<int> fastest;
  const auto measure = [](std::size_t i) -> double {
    TORCH_CHECK_WITH(OutOfMemoryError, i != 1, "out of memory");
    return 1;
  };
  EXPECT_THROW((void)fastest.choose(1, 2, measure), c10::OutOfMemoryError);
  EXPECT_EQ(fastest.chosen(1), std::nullopt);
}

TEST(Fastest, ThreadsAgreeAndMeasureOneAfterTheOther) {
  Fastest<int> fastest;
  std::atomic<int> at_work = 0;
  std::atomic<int> measurements = 0;
  std::atomic<bool> overlapped = false;
  std::vector<std::size_t> chosen(8);
  {
    std::vector<std::jthread> threads;
    for (std::size_t n = 0; n < chosen.size(); ++n) {
      threads.emplace_back([&, n] {
        chosen[n] = fastest.choose(static_cast<int>(n % 2), 2, [&](std::size_t i) {
          if (at_work.fetch_add(1) != 0) overlapped = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
          ++measurements;
          at_work.fetch_sub(1);
          // Each thread would find another candidate the fastest.
          return i == n / 2 % 2 ? 1.0 : 2.0;
        });
      });
    }
  }
  EXPECT_EQ(measurements, 4) << "two keys, two candidates";
  EXPECT_FALSE(overlapped);
  for (std::size_t n = 2; n < chosen.size(); ++n) EXPECT_EQ(chosen[n], chosen[n % 2]);
}

}  // namespace
}  // namespace l2c
