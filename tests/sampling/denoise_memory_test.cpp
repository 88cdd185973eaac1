// A run asks the system for large memory in its first step alone.
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <atomic>

#include "l2c/cache/policies.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/diffusion/steps.h"
#include "l2c/sampling/denoise.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

// Counts what LibTorch's allocator is asked for; installed for the whole program.
class CountingAllocator final : public c10::Allocator {
 public:
  static CountingAllocator& installed() {
    static CountingAllocator* const counting = [] {
      auto* const made = new CountingAllocator(c10::GetCPUAllocator());
      c10::SetCPUAllocator(made, /*priority=*/100);
      return made;
    }();
    return *counting;
  }

  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes >= large) ++requests_;
    return inner_->allocate(bytes);
  }
  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return inner_->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t count) const override {
    inner_->copy_data(to, from, count);
  }
  [[nodiscard]] int requests() const { return requests_; }

  // The latents of the run below take 8 KiB, guided 16: those of solvers are not the model's.
  static constexpr std::size_t large = 24 << 10;

 private:
  explicit CountingAllocator(c10::Allocator* inner) : inner_(inner) {}
  c10::Allocator* inner_;
  std::atomic<int> requests_ = 0;
};

class DenoiseMemory : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(DenoiseMemory, AfterTheFirstStepNothingLargeIsAllocated) {
  const auto& counting = CountingAllocator::installed();
  const auto model =
      DiT::load(test::tiny_config(), test::tiny_checkpoint(), at::kCPU, GetParam());
  const Schedule schedule = make_schedule("ddim10");
  const EveryN every_second(2);
  std::vector<int> requests;
  const DenoiseJob job{.model = *model,
                       .schedule = schedule,
                       .policy = every_second,
                       .step =
                           [&](int i, int /*evaluation*/, const at::Tensor& x,
                               const at::Tensor& output) {
                             return ddim_step(schedule, i, x, output, 0, {});
                           },
                       .guidance = {.scale = 4, .channels = 3},
                       .sampler = "ddim",
                       .stop = {},
                       .observer = [&](const StepView&) { requests.push_back(counting.requests()); }};
  at::manual_seed(5);
  const auto result =
      denoise(job, at::randn({8, 4, 8, 8}), at::arange(8, at::kLong));
  EXPECT_GT(result.cache_bytes, 0U);
  ASSERT_EQ(requests.size(), 10U);
  EXPECT_GT(requests.front(), 0) << "the first step is counted";
  EXPECT_EQ(requests.back(), requests.front());
}

INSTANTIATE_TEST_SUITE_P(Types, DenoiseMemory, ::testing::Values(at::kFloat, at::kBFloat16));

}  // namespace
}  // namespace l2c
