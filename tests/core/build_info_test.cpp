#include "l2c/core/build_info.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <semaphore>
#include <string>
#include <thread>

#include "l2c/core/error.h"

namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::ThrowsMessage;

TEST(BuildInfo, NamesVersions) {
  const l2c::BuildInfo info = l2c::build_info();
  EXPECT_THAT(info.version, MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(info.libtorch, MatchesRegex("2\\.[0-9]+\\..*"));
  EXPECT_THAT(info.compiler, MatchesRegex("(GCC|Clang) [0-9].*"));
  EXPECT_FALSE(info.cpu_capability.empty());
  EXPECT_EQ(info.gpus.empty() || info.cuda_build, true);
}

TEST(BuildInfo, NamesTheProcessorAsTheSystemDoes) {
  std::ifstream file("/proc/cpuinfo");
  const std::string system((std::istreambuf_iterator<char>(file)), {});
  const std::string name = l2c::build_info().cpu_model;
  if (system.find("model name") == std::string::npos) {
    EXPECT_THAT(system, HasSubstr(name));
  } else {
    ASSERT_FALSE(name.empty());
    EXPECT_THAT(system, HasSubstr("model name\t: " + name + "\n"));
  }
}

#if defined(__x86_64__)
TEST(BuildInfo, CpuFeaturesAgreeWithTheCompilersOwnCheck) {
  const auto features = l2c::build_info().cpu_features;
  const auto expect = [&](const char* name, bool there) {
    if (there) {
      EXPECT_THAT(features, Contains(name));
    } else {
      EXPECT_THAT(features, testing::Not(Contains(name)));
    }
  };
  expect("fma", __builtin_cpu_supports("fma"));
  expect("avx2", __builtin_cpu_supports("avx2"));
  expect("avx512f", __builtin_cpu_supports("avx512f"));
  expect("avx512_vnni", __builtin_cpu_supports("avx512vnni"));
  expect("avx512_bf16", __builtin_cpu_supports("avx512bf16"));
}
#endif

// As the header says: an application sets it before its threads start.
TEST(SetThreads, HoldsForThreadsThatHaveNotComputedYet) {
  const int before = at::get_num_threads();
  std::binary_semaphore computed{0}, set{0};
  int early = 0, late = 0;
  std::jthread first([&] {
    EXPECT_EQ(l2c::build_info().threads, before);
    computed.release();
    set.acquire();
    early = l2c::build_info().threads;
  });
  computed.acquire();
  l2c::set_threads(before + 1);
  set.release();
  first.join();
  std::jthread([&] { late = l2c::build_info().threads; }).join();
  EXPECT_EQ(early, before);
  EXPECT_EQ(late, before + 1);
  l2c::set_threads(before);
}

TEST(SetThreads, IsSeenByLibTorch) {
  const int before = at::get_num_threads();
  l2c::set_threads(1);
  EXPECT_EQ(l2c::build_info().threads, 1);
  l2c::set_threads(before);
  EXPECT_EQ(at::get_num_threads(), before);
  EXPECT_THAT([] { l2c::set_threads(0); },
              ThrowsMessage<l2c::InputError>(HasSubstr("0 threads: use 1 to 1024")));
  EXPECT_THROW(l2c::set_threads(l2c::most_threads + 1), l2c::InputError);
}

}  // namespace
