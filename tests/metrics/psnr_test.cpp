#include "l2c/metrics/psnr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "l2c/core/error.h"

namespace {

TEST(Psnr, OfAKnownDifference) {
  const std::vector<float> reference{0, 0, 0, 0};
  const std::vector<float> values{0.5F, -0.5F, 0.5F, -0.5F};
  const auto d = l2c::difference(values, reference, 2);
  EXPECT_DOUBLE_EQ(d.max_abs, 0.5);
  EXPECT_DOUBLE_EQ(d.mean_square, 0.25);
  EXPECT_NEAR(d.psnr_db, 10 * std::log10(4 / 0.25), 1e-12);
}

TEST(Psnr, OfEqualValuesIsInfinite) {
  const std::vector<float> values{1, 2};
  EXPECT_TRUE(std::isinf(l2c::difference(values, values, 2).psnr_db));
}

TEST(Psnr, RefusesWhatCannotBeCompared) {
  const std::vector<float> two{1, 2};
  const std::vector<float> one{1};
  EXPECT_THAT([&] { (void)l2c::difference(two, one, 2); },
              testing::ThrowsMessage<l2c::InputError>(testing::HasSubstr("2 values with 1")));
  EXPECT_THAT([&] { (void)l2c::difference(one, one, 0); },
              testing::ThrowsMessage<l2c::InputError>(testing::HasSubstr("peak")));
}

}  // namespace
