#include "l2c/diffusion/noise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <thread>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/torch.h"
#include "support/golden.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Known answers of the authors' Random123 library.
TEST(Philox, KnownAnswers) {
  EXPECT_THAT(philox4x32({0, 0, 0, 0}, {0, 0}),
              ElementsAre(0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U));
  constexpr std::uint32_t ones = 0xffffffff;
  EXPECT_THAT(philox4x32({ones, ones, ones, ones}, {ones, ones}),
              ElementsAre(0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU));
  EXPECT_THAT(
      philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      ElementsAre(0xd16cfe09U, 0x94fdccebU, 0x5001e420U, 0x24126ea1U));
}

void expect_values(const at::Tensor& noise, const std::vector<float>& expected) {
  ASSERT_EQ(noise.numel(), static_cast<std::int64_t>(expected.size()));
  for (std::size_t k = 0; k < expected.size(); ++k) {
    EXPECT_FLOAT_EQ(noise.const_data_ptr<float>()[k], expected[k]) << "value " << k;
  }
}

// From an independent implementation (in Python) of the layout that noise.h promises: a seed must
// give the same image in every version.
TEST(PhiloxNormal, LayoutNeverChanges) {
  expect_values(philox_normal(0, 0, -1, {6}), {0.991137683F, -0.92466259F, -0.617608964F,
                                               -0.482068598F, -0.153638229F, 0.180825904F});
  expect_values(philox_normal(42, 3, 7, {6}), {-0.0552308746F, 1.06351495F, -0.629754007F,
                                               -0.704996705F, -1.10495174F, 1.11826134F});
  expect_values(
      philox_normal(0x123456789abcdef0, 0x200000001, 19, {6}),
      {-1.47890401F, 0.575363874F, 0.828930676F, -1.2494905F, -0.0320779271F, 0.749829292F});
}

TEST(PhiloxNormal, Moments) {
  constexpr double n = 1 << 20;
  const auto z = philox_normal(1, 0, -1, {1 << 20}).to(at::kDouble);
  // Five standard errors of each estimate.
  EXPECT_NEAR(z.mean().item<double>(), 0, 5 / std::sqrt(n));
  EXPECT_NEAR(z.pow(2).mean().item<double>(), 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(z.pow(3).mean().item<double>(), 0, 5 * std::sqrt(15 / n));
  EXPECT_NEAR(z.pow(4).mean().item<double>(), 3, 5 * std::sqrt(96 / n));
  EXPECT_NEAR(z.abs().lt(1).to(at::kDouble).mean().item<double>(), 0.682689,
              5 * 0.4655 / std::sqrt(n));
  EXPECT_GT(z.abs().max().item<double>(), 4.2);
}

double correlation(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) * b.to(at::kDouble)).mean().item<double>();
}

TEST(PhiloxNormal, StreamsAreIndependent) {
  constexpr std::int64_t n = 1 << 16;
  const double bound = 5 / std::sqrt(static_cast<double>(n));
  const auto z = philox_normal(5, 2, 3, {n});
  const std::vector<at::Tensor> others{
      philox_normal(6, 2, 3, {n}), philox_normal(5 + (1ULL << 32), 2, 3, {n}),
      philox_normal(5, 3, 3, {n}), philox_normal(5, 2 + (1LL << 32), 3, {n}),
      philox_normal(5, 2, 4, {n}), philox_normal(5, 2, -1, {n}),
      philox_normal(5, 3, 2, {n}), philox_normal(2, 5, 3, {n}),
  };
  for (const auto& other : others) {
    EXPECT_FALSE(at::equal(z, other));
    EXPECT_LT(std::abs(correlation(z, other)), bound);
  }
  // Neighbours within a stream, at the distances of a pair, a counter and a row.
  for (const std::int64_t lag : {1, 2, 3, 4, 8, 32}) {
    EXPECT_LT(std::abs(correlation(z.narrow(0, 0, n - lag), z.narrow(0, lag, n - lag))), bound)
        << lag;
  }
}

TEST(PhiloxNormal, SameAgainAndInEveryThread) {
  // Large enough to be shared out between LibTorch's threads.
  const auto expected = philox_normal(9, 1, 0, {4, 64, 64});
  std::array<at::Tensor, 4> results;
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&result] { result = philox_normal(9, 1, 0, {4, 64, 64}); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) test::expect_equal(result, expected, "another thread");
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  const auto three = philox_normal(9, 1, 0, {4, 64, 64});
  at::set_num_threads(before);
  test::expect_equal(three, expected, "three threads within the operation");
}

TEST(PhiloxNormal, ShorterIsPrefixOfLonger) {
  const auto longest = philox_normal(3, 0, -1, {4099});
  for (const std::int64_t n : {1, 2, 3, 4, 5, 127, 4096, 4098}) {
    test::expect_equal(philox_normal(3, 0, -1, {n}), longest.narrow(0, 0, n), "prefix");
  }
  test::expect_equal(philox_normal(3, 0, -1, {4, 8, 8}).flatten(), longest.narrow(0, 0, 256),
                     "shape");
}

TEST(PhiloxNormal, ShapeAndType) {
  const auto z = philox_normal(3, 0, 2, {4, 5, 6});
  EXPECT_EQ(z.sizes(), (std::vector<std::int64_t>{4, 5, 6}));
  EXPECT_EQ(z.scalar_type(), at::kFloat);
  EXPECT_TRUE(z.device().is_cpu());
  EXPECT_EQ(philox_normal(3, 0, 2, {0, 5}).numel(), 0);
  EXPECT_EQ(philox_normal(3, 0, 2, {}).numel(), 1);
}

TEST(PhiloxNormal, BadInput) {
  EXPECT_THAT([] { philox_normal(0, -1, 0, {4}); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("image -1"), HasSubstr("at least 0"))));
  EXPECT_THAT([] { philox_normal(0, 0, -2, {4}); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("step -2"), HasSubstr("at least -1"))));
  EXPECT_THAT([] { philox_normal(0, 0, 0, {4, -1}); },
              ThrowsMessage<InputError>(HasSubstr("noise of shape [4, -1]")));
  EXPECT_THAT([] { philox_normal(0, 0, 0, {1 << 30, 1 << 30, 1 << 30}); },
              ThrowsMessage<InputError>(HasSubstr("at most 17179869184 elements")));
}

}  // namespace
}  // namespace l2c
