#include "l2c/diffusion/guidance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "l2c/core/error.h"
#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"

namespace l2c {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int kImages = 4;

struct Case {
  std::string tensor;
  double scale;
  int channels;
};

class GuidanceGolden : public ::testing::TestWithParam<Case> {};

TEST_P(GuidanceGolden, GuidedHalf) {
  const auto& [name, scale, channels] = GetParam();
  const auto golden = io::SafetensorsFile::open(test::data("dit_tiny/cfg.safetensors"));
  const auto unguided = golden.tensor("unguided");
  const auto both = golden.tensor(name);
  const auto guided = guide(unguided, scale, channels);
  test::expect_close(guided, both.narrow(0, 0, kImages), 1e-5, "dit_tiny/cfg " + name);
}

// What the official function returns as its second half, and why guide() need not: the guided
// channels once more, and beside them the null label's own rows (its channel 3 and variance), which
// nobody reads, for the next step copies the first half of x over the second.
TEST_P(GuidanceGolden, SecondHalfHoldsNothingNew) {
  const auto& [name, scale, channels] = GetParam();
  const auto golden = io::SafetensorsFile::open(test::data("dit_tiny/cfg.safetensors"));
  const auto unguided = golden.tensor("unguided");
  const auto second = golden.tensor(name).narrow(0, kImages, kImages);
  const auto guided = guide(unguided, scale, channels);
  const int others = static_cast<int>(unguided.size(1)) - channels;
  test::expect_close(guided.narrow(1, 0, channels), second.narrow(1, 0, channels), 1e-5,
                     "dit_tiny/cfg second half");
  test::expect_close(unguided.narrow(0, kImages, kImages).narrow(1, channels, others),
                     second.narrow(1, channels, others), 1e-5, "dit_tiny/cfg second half");
}

INSTANTIATE_TEST_SUITE_P(DitTiny, GuidanceGolden,
                         ::testing::Values(Case{"cfg1.5.three_channels", 1.5, 3},
                                           Case{"cfg1.5.all_channels", 1.5, 4},
                                           Case{"cfg4.0.three_channels", 4.0, 3},
                                           Case{"cfg4.0.all_channels", 4.0, 4}));

TEST(Guide, ScaleOneIsConditionalAndZeroUnconditional) {
  const auto output = at::arange(2 * 2 * 3 * 1 * 1, at::kFloat).reshape({4, 3, 1, 1});
  test::expect_equal(guide(output, 1, 3), output.narrow(0, 0, 2), "scale 1");
  test::expect_equal(guide(output, 0, 3), output.narrow(0, 2, 2), "scale 0");
}

TEST(Guide, LeavesItsInputAlone) {
  const auto output = at::arange(8, at::kFloat).reshape({2, 4, 1, 1});
  const auto before = output.clone();
  guide(output, 4, 3);
  guide(output, 4, 4);
  test::expect_equal(output, before, "model output");
}

TEST(Guide, BadInput) {
  const auto output = at::zeros({4, 8, 2, 2});
  EXPECT_THAT(
      [&] { guide(output, 2, 9); },
      ThrowsMessage<InputError>(HasSubstr("cannot guide 9 channels of a model output that has 8")));
  EXPECT_THAT([&] { guide(output, 2, 0); },
              ThrowsMessage<InputError>(HasSubstr("guide 0 channels")));
  EXPECT_THAT([&] { guide(output.narrow(0, 0, 3), 2, 3); },
              ThrowsMessage<InputError>(HasSubstr("not [3, 8, 2, 2]")));
  EXPECT_THAT([] { guide({}, 2, 3); }, ThrowsMessage<InputError>(HasSubstr("not [none]")));
  EXPECT_THAT([&] { guide(output, std::numeric_limits<double>::quiet_NaN(), 3); },
              ThrowsMessage<InputError>(HasSubstr("guidance scale is nan")));
}

}  // namespace
}  // namespace l2c
