#include "cpu/pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

namespace l2c::ops::cpu {
namespace {

class Threads : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { at::set_num_threads(GetParam()); }
  void TearDown() override { at::set_num_threads(before_); }

 private:
  int before_ = at::get_num_threads();
};

TEST_P(Threads, EveryNumberIsDoneOnce) {
  for (const std::int64_t n : {0, 1, 2, 7, 1000}) {
    for (const std::int64_t grain : {0, 1, 3, 5000}) {
      std::vector<std::atomic<int>> done(static_cast<std::size_t>(n));
      parallel_for(n, grain, [&](std::int64_t first, std::int64_t last, int participant) {
        EXPECT_LT(participant, GetParam());
        for (auto i = first; i < last; ++i) ++done[static_cast<std::size_t>(i)];
      });
      EXPECT_TRUE(std::ranges::all_of(done, [](const auto& times) { return times == 1; }))
          << n << ", grain " << grain;
    }
  }
}

TEST_P(Threads, AParticipantIsOneThreadAtATime) {
  std::vector<std::atomic<int>> in_use(static_cast<std::size_t>(GetParam()));
  for (int round = 0; round < 200; ++round) {
    parallel_for(64, 1, [&](std::int64_t, std::int64_t, int participant) {
      EXPECT_EQ(in_use[static_cast<std::size_t>(participant)]++, 0);
      std::this_thread::yield();
      --in_use[static_cast<std::size_t>(participant)];
    });
  }
}

TEST_P(Threads, AnExceptionReachesTheCallerAndThePoolLives) {
  EXPECT_THROW(parallel_for(100, 1,
                            [](std::int64_t first, std::int64_t last, int) {
                              if (first <= 50 && 50 < last) throw std::runtime_error("bad");
                            }),
               std::runtime_error);
  std::atomic<std::int64_t> sum = 0;
  parallel_for(100, 1, [&](std::int64_t first, std::int64_t last, int) { sum += last - first; });
  EXPECT_EQ(sum, 100);
}

TEST_P(Threads, WorkThatAsksForThreadsStaysInItsOwn) {
  std::atomic<int> inner = 0;
  parallel_for(8, 1, [&](std::int64_t first, std::int64_t last, int) {
    for (auto i = first; i < last; ++i) {
      const auto here = std::this_thread::get_id();
      parallel_for(4, 1, [&](std::int64_t from, std::int64_t to, int participant) {
        EXPECT_EQ(std::this_thread::get_id(), here);
        EXPECT_EQ(participant, 0);
        inner += static_cast<int>(to - from);
      });
    }
  });
  EXPECT_EQ(inner, 32);
}

INSTANTIATE_TEST_SUITE_P(Pool, Threads, ::testing::Values(1, 2, 5));

TEST(Pool, CallersShareItsThreads) {
  const int before = at::get_num_threads();
  at::set_num_threads(4);
  std::atomic<int> at_work = 0, most = 0;
  std::atomic<std::int64_t> sum = 0;
  const auto call = [&] {
    for (int round = 0; round < 50; ++round) {
      parallel_for(40, 1, [&](std::int64_t first, std::int64_t last, int) {
        const int now = ++at_work;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::sleep_for(std::chrono::microseconds(20));
        sum += last - first;
        --at_work;
      });
    }
  };
  std::vector<std::thread> callers;
  for (int i = 0; i < 6; ++i) callers.emplace_back(call);
  for (auto& caller : callers) caller.join();
  at::set_num_threads(before);
  EXPECT_EQ(sum, 6 * 50 * 40);
  // The six callers, and helpers of those that came while fewer than four were at work.
  EXPECT_LE(most, 6 + 3);
}

// No room in the address space for another thread's stack.
void allow_no_more_threads() {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const auto now = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE));
  const rlimit limit{.rlim_cur = now + (1 << 20), .rlim_max = RLIM_INFINITY};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::exit(2);
}

bool gets_a_thread() {
  try {
    std::thread([] {}).join();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

[[noreturn, maybe_unused]] void work_without_new_threads() {
  at::set_num_threads(6);
  allow_no_more_threads();
  if (gets_a_thread()) std::exit(3);
  std::int64_t sum = 0;
  for (int round = 0; round < 3; ++round) {
    parallel_for(1000, 1, [&](std::int64_t first, std::int64_t last, int participant) {
      if (participant != 0) std::exit(4);
      sum += last - first;
    });
  }
  std::exit(sum == 3000 ? 0 : 5);
}

TEST(PoolDeathTest, WhereTheSystemGivesNoThreadTheCallerWorksAlone) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need address space of their own";
#else
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the pool of a forked process has lost its own
  EXPECT_EXIT(work_without_new_threads(), testing::ExitedWithCode(0), "");
#endif
}

}  // namespace
}  // namespace l2c::ops::cpu
