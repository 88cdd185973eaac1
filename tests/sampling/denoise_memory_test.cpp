// A run asks the system for large memory in its first step alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <tuple>
#include <vector>

#include "l2c/cache/delta_dit.h"
#include "l2c/cache/first_block_cache.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/recalling.h"
#include "l2c/cache/tea_cache.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/diffusion/steps.h"
#include "l2c/sampling/denoise.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/planning.h"
#include "memory.h"
#include "support/counting_allocator.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// The latents of the run below take 8 KiB, guided 16: what solvers make is not counted.
constexpr std::size_t large = 24 << 10;

class DenoiseMemory : public ::testing::TestWithParam<std::tuple<at::ScalarType, int>> {
 protected:
  void SetUp() override { at::set_num_threads(std::get<1>(GetParam())); }
  void TearDown() override { at::set_num_threads(before_); }
  at::ScalarType dtype() const { return std::get<0>(GetParam()); }

 private:
  int before_ = at::get_num_threads();
};

TEST_P(DenoiseMemory, AfterTheFirstStepNothingLargeIsAllocated) {
  auto& counting = test::CountingAllocator::installed();
  const auto model = DiT::load(test::tiny_config(), test::tiny_checkpoint(), at::kCPU, dtype());
  const Schedule schedule = make_schedule("ddim10");
  const EveryN every_second(2);
  std::vector<int> requests;
  const DenoiseJob job{
      .model = *model,
      .schedule = schedule,
      .policy = every_second,
      .step = [&](int i, int /*evaluation*/, const at::Tensor& x,
                  const at::Tensor& output) { return ddim_step(schedule, i, x, output, 0, {}); },
      .guidance = {.scale = 4, .channels = 3},
      .sampler = "ddim",
      .stop = {},
      .observer = [&](const StepView&) { requests.push_back(counting.requests()); }};
  at::manual_seed(5);
  counting.count_from(large);
  const auto result = denoise(job, at::randn({8, 4, 8, 8}), at::arange(8, at::kLong));
  EXPECT_GT(result.cache_bytes, 0U);
  ASSERT_EQ(requests.size(), 10U);
  EXPECT_GT(requests.front(), 0) << "the first step is counted";
  EXPECT_EQ(requests.back(), requests.front());
}

TEST_P(DenoiseMemory, ALimitMakesSmallerBatchesAndIsKept) {
  auto& counting = test::CountingAllocator::installed();
  const auto model = DiT::load(test::tiny_config(), test::tiny_checkpoint(), at::kCPU, dtype());
  const Pipeline pipeline(model);
  Request request;
  request.labels = {1, 2, 3, 4, 5, 6, 7};
  request.steps = 4;
  request.cache = std::make_shared<EveryN>(2);
  const auto whole = pipeline.sample(request);
  EXPECT_EQ(whole.stats.batch_size, 16);
  const int stored = 2 * test::tiny_config().depth;
  const auto one = bytes_per_image(*model, /*guided=*/true, stored);
  request.memory_limit = 3 * one + one / 2;
  counting.count_from(0);
  const auto parts = pipeline.sample(request);
  EXPECT_EQ(parts.stats.batch_size, 3);
  EXPECT_LE(counting.peak(), request.memory_limit);
  EXPECT_GE(counting.peak(), request.memory_limit / 4) << "the bound is far from the truth";
  EXPECT_EQ(parts.latents.values, whole.latents.values);
  request.memory_limit = one - 1;
  const auto sample = [&] { (void)pipeline.sample(request); };
  EXPECT_THAT(sample, ThrowsMessage<InputError>(HasSubstr("one image takes up to")));
  request.memory_limit = -1;
  EXPECT_THAT(sample, ThrowsMessage<InputError>(HasSubstr("give at least 0")));
}

// What is kept of ranges of blocks, and held while a policy decides, counts too.
TEST_P(DenoiseMemory, ALimitIsKeptByPoliciesOfRanges) {
  auto& counting = test::CountingAllocator::installed();
  const auto model = DiT::load(test::tiny_config(), test::tiny_checkpoint(), at::kCPU, dtype());
  const Pipeline pipeline(model);
  const std::vector<std::shared_ptr<const CachePolicy>> policies{
      std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 1.05}),
      std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0.17}),
      std::make_shared<DeltaDiT>(DeltaDiTOptions{.interval = 3})};
  for (const auto& policy : policies) {
    for (const int order : {1, 4}) {
      Request request;
      request.labels = {1, 2, 3, 4, 5, 6, 7};
      request.steps = 8;
      const auto taylor = std::make_shared<Taylor>(order);
      request.cache = std::make_shared<Recalling>(policy, taylor);
      const auto whole = pipeline.sample(request);
      EXPECT_GT(whole.stats.reused, 0) << policy->name();
      const int stored = policy->most_stored(plan_shape(4, "8", {}, "ddim"), taylor.get());
      request.memory_limit = 2 * bytes_per_image(*model, /*guided=*/true, stored) + 1;
      counting.count_from(0);
      const auto parts = pipeline.sample(request);
      EXPECT_EQ(parts.stats.batch_size, 2) << policy->name();
      EXPECT_LE(counting.peak(), request.memory_limit) << policy->name() << ", order " << order;
    }
  }
}

// Memory for one row an image is of no use where guidance doubles them.
TEST_P(DenoiseMemory, ALimitIsKeptWhereGuidanceComesAndGoes) {
  auto& counting = test::CountingAllocator::installed();
  const auto model = DiT::load(test::tiny_config(), test::tiny_checkpoint(), at::kCPU, dtype());
  const Pipeline pipeline(model);
  Request request;
  request.labels = {1, 2, 3, 4, 5, 6, 7};
  request.steps = 12;
  request.guidance_range = {.low = 300, .high = 700};
  request.cache = std::make_shared<EveryN>(2);
  const int stored = 2 * test::tiny_config().depth;
  request.memory_limit = 3 * bytes_per_image(*model, /*guided=*/true, stored) + 1;
  counting.count_from(0);
  const auto parts = pipeline.sample(request);
  EXPECT_EQ(parts.stats.batch_size, 3);
  EXPECT_GT(parts.stats.reused, 0);
  EXPECT_LE(counting.peak(), request.memory_limit);
}

INSTANTIATE_TEST_SUITE_P(Types, DenoiseMemory,
                         ::testing::Combine(::testing::Values(at::kFloat, at::kBFloat16),
                                            ::testing::Values(1, 2, 5)));

}  // namespace
}  // namespace l2c
