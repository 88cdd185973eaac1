#include "l2c/evaluation/benchmark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "l2c/cache/policies.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int steps = 4;
constexpr int batch = 3;

Pipeline prepared_pipeline() {
  return Pipeline(DiT::load(test::tiny_config(), test::tiny_checkpoint(), at::kCPU, at::kFloat));
}

BenchmarkCase small_case(bool cached = true) {
  BenchmarkCase bench_case;
  bench_case.request.labels = {0, 1, 2};
  bench_case.request.steps = steps;
  bench_case.request.batch_size = 1;
  if (cached) bench_case.request.cache = std::make_shared<EveryN>(2);
  return bench_case;
}

BenchmarkOptions few(int runs = 3) { return {.runs = runs, .ceiling_seconds = 0.001}; }

TEST(Benchmark, RunsBothKindsAndCountsTheirWork) {
  const auto pipeline = prepared_pipeline();
  const auto result = benchmark(pipeline, small_case(), few());
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.batch, batch);
  EXPECT_EQ(result.threads, build_info().threads);
  EXPECT_EQ(result.full.seconds.size(), 3U);
  ASSERT_TRUE(result.cached);
  EXPECT_EQ(result.cached->seconds.size(), 3U);
  EXPECT_EQ(result.full.cpu_seconds.size(), 3U);
  for (const double seconds : result.full.cpu_seconds) EXPECT_GT(seconds, 0);
  EXPECT_EQ(result.full.stats.reused, 0);
  EXPECT_EQ(result.cached->stats.reused, result.full.stats.computed / 2);
  EXPECT_EQ(result.full.stats.cache_bytes, 0);
  EXPECT_GT(result.cached->stats.cache_bytes, 0);
  // Guided: two rows an image.
  EXPECT_DOUBLE_EQ(result.run_gflop, 2e-9 * pipeline.cost().total().truth * steps * 2 * batch);
  EXPECT_EQ(result.ceiling.layers[0].rows, 2 * batch * pipeline.cost().layers[0].rows);
  EXPECT_GT(result.full.peak_memory_bytes, 0);
  EXPECT_FALSE(result.full.profile);
}

TEST(Benchmark, WithoutACacheThereAreFullRunsAlone) {
  auto bench_case = small_case(false);
  bench_case.request.guidance = 1;
  const auto result = benchmark(prepared_pipeline(), bench_case, few(2));
  EXPECT_FALSE(result.cached);
  EXPECT_FALSE(realised_speedup(result));
  EXPECT_EQ(result.full.seconds.size(), 2U);
  EXPECT_EQ(result.ceiling.layers[0].rows, batch * prepared_pipeline().cost().layers[0].rows);
}

TEST(Benchmark, EndsAfterTheSecondsButNotBeforeTheFirstRuns) {
  auto options = few(1000);
  options.seconds = 1e-6;
  const auto result = benchmark(prepared_pipeline(), small_case(), options);
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.full.seconds.size(), 1U);
  EXPECT_EQ(result.cached->seconds.size(), 1U);
}

TEST(Benchmark, PeakMemoryIsThatOfTheRuns) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer keeps freed memory";
#endif
  constexpr std::size_t large = 600U << 20;
  { const std::vector<char> touched(large, 1); }
  const auto result = benchmark(prepared_pipeline(), small_case(), few(1));
  EXPECT_LT(result.full.peak_memory_bytes, static_cast<std::int64_t>(large));
  EXPECT_GT(result.full.peak_memory_bytes, 10 << 20) << "LibTorch alone takes more";
}

double operations(const RunProfile& profile, const std::string& name) {
  for (const auto& operation : profile.operations) {
    if (operation.name == name) return operation.gflops.value() * operation.seconds;
  }
  return 0;
}

TEST(Benchmark, AProfileAccountsForTheProcessorsTime) {
  const auto pipeline = prepared_pipeline();
  auto options = few(1);
  options.profile = true;
  const auto result = benchmark(pipeline, small_case(), options);
  const auto& full = result.full.profile.value();
  const auto& cached = result.cached->profile.value();
  for (const auto& profile : {full, cached}) {
    double seconds = 0;
    double shares = 0;
    std::vector<std::string> names;
    for (const auto& operation : profile.operations) {
      names.push_back(operation.name);
      seconds += operation.seconds;
      shares += operation.share;
      EXPECT_GE(operation.seconds, 0);
    }
    EXPECT_THAT(names, ElementsAre("qkv", "attention", "proj", "fc1", "fc2", "residual_norm",
                                   "other_products", "other"));
    EXPECT_NEAR(seconds, profile.cpu_seconds, 1e-9);
    EXPECT_NEAR(shares, 1, 1e-9);
    EXPECT_GT(profile.wall_seconds, 0);
    EXPECT_FALSE(profile.operations.back().gflops);
  }
  // 2 a multiply-add, guided, every step, every block; half of it with the cache.
  const auto& cost = pipeline.cost();
  const double times = 2e-9 * 2 * batch * steps * pipeline.summary().blocks;
  for (const auto& layer : cost.layers) {
    EXPECT_NEAR(operations(full, layer.name), times * layer.macs(), 1e-12) << layer.name;
    EXPECT_NEAR(operations(cached, layer.name), times * layer.macs() / 2, 1e-12) << layer.name;
  }
  EXPECT_NEAR(operations(full, "attention"), times * (cost.units[0].truth - cost.units[0].paper),
              1e-12);
}

TEST(Benchmark, AStopKeepsWhatWasMeasured) {
  std::stop_source stop;
  const auto result = benchmark(
      prepared_pipeline(), small_case(), few(5),
      [&](const BenchmarkProgress& progress) {
        if (progress.doing == "runs" && progress.done == 2) stop.request_stop();
      },
      stop.get_token());
  EXPECT_FALSE(result.complete);
  EXPECT_EQ(result.full.seconds.size() + result.cached->seconds.size(), 4U);
  EXPECT_TRUE(realised_speedup(result));
  const auto nothing = benchmark(prepared_pipeline(), small_case(), few(), {}, stop.get_token());
  EXPECT_FALSE(nothing.complete);
  EXPECT_TRUE(nothing.full.seconds.empty());
  EXPECT_FALSE(realised_speedup(nothing));
}

TEST(Benchmark, RefusesWhatItCannotMeasure) {
  const auto measured = [](BenchmarkOptions options, BenchmarkCase bench_case) {
    return [=] { (void)benchmark(prepared_pipeline(), bench_case, options); };
  };
  EXPECT_THAT(measured(few(0), small_case()), ThrowsMessage<InputError>(HasSubstr("0 runs")));
  for (const double seconds : {0.0, -1.0, std::nan("")}) {
    auto options = few();
    options.seconds = seconds;
    EXPECT_THAT(measured(options, small_case()), ThrowsMessage<InputError>(HasSubstr("seconds")));
  }
  auto options = few();
  options.profile = true;
  auto on_gpu = small_case();
  on_gpu.device = "cuda:0";
  EXPECT_THAT(measured(options, on_gpu), ThrowsMessage<InputError>(HasSubstr("cuda:0")));
  auto labels = small_case();
  labels.request.labels = {99};
  EXPECT_THAT(measured(few(), labels), ThrowsMessage<InputError>(HasSubstr("99")));
}

TEST(BenchmarkNumbers, FollowFromTheSeconds) {
  BenchmarkResult result;
  result.batch = 4;
  result.run_gflop = 60;
  result.ceiling.gflops = 40;
  result.full.seconds = {3, 1, 2};
  result.full.stats.steps = 20;
  const auto full = numbers(result, result.full);
  EXPECT_DOUBLE_EQ(full.p50, 2);
  EXPECT_DOUBLE_EQ(full.p95, 2.9);
  EXPECT_DOUBLE_EQ(full.seconds_per_step, 0.1);
  EXPECT_DOUBLE_EQ(full.images_per_second, 2);
  EXPECT_DOUBLE_EQ(full.gflops, 30);
  EXPECT_DOUBLE_EQ(full.of_ceiling, 0.75);
  BenchmarkRuns cached = result.full;
  cached.seconds = {1.25, 1.25};
  cached.stats.ideal_speedup = 2;  // half of the operations
  result.cached = cached;
  EXPECT_DOUBLE_EQ(numbers(result, cached).gflops, 24);
  EXPECT_DOUBLE_EQ(realised_speedup(result).value(), 1.6) << "of 2.4 and 0.8, round by round";
  EXPECT_THROW((void)numbers(result, BenchmarkRuns{}), InputError);
}

}  // namespace
}  // namespace l2c
