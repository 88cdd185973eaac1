#include "l2c/cache/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "cache/support.h"
#include "l2c/core/error.h"
#include "l2c/core/torch.h"

namespace l2c {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(RouterTest, HoldsRowsOfUnits) {
  RouterInfo info;
  info.spacing = "2";
  const Router router(2, 4, {0, 1, 2, 3, 4, 5, 6, 7}, info, "r.pt");
  EXPECT_EQ(router.rows(), 2);
  EXPECT_EQ(router.units(), 4);
  EXPECT_EQ(router.logit(0, 3), 3);
  EXPECT_EQ(router.logit(1, 0), 4);
  EXPECT_EQ(router.info(), info);
  EXPECT_EQ(router.source(), "r.pt");
}

// 58 units: a vector's worth and a rest, which PyTorch may compute by other code.
TEST(RouterTest, ScoresAreTheSigmoidOfOneRowAsATensor) {
  const Router router = test::random_router(3, 58, 1);
  for (int row = 0; row < 3; ++row) {
    at::Tensor logits = at::empty({58}, at::kFloat);
    for (int unit = 0; unit < 58; ++unit) logits[unit] = router.logit(row, unit);
    const at::Tensor scores = at::sigmoid(logits);
    for (int unit = 0; unit < 58; ++unit) {
      EXPECT_EQ(router.score(row, unit), scores[unit].item<float>());
      EXPECT_NEAR(router.score(row, unit), 1 / (1 + std::exp(-double{router.logit(row, unit)})),
                  1e-6);
    }
  }
}

TEST(RouterTest, ScoresOfExtremeLogits) {
  const Router router(1, 4, {0, -200, 200, 5});
  EXPECT_EQ(router.score(0, 0), 0.5F);
  EXPECT_EQ(router.score(0, 1), 0.0F);
  EXPECT_EQ(router.score(0, 2), 1.0F);
  EXPECT_NEAR(router.score(0, 3), 0.9933071, 1e-6);
}

TEST(RouterTest, RejectsWhatIsNoRouter) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float inf = std::numeric_limits<float>::infinity();
  const auto message = [](int rows, int units, std::vector<float> logits) {
    return message_of<InputError>([&] { Router(rows, units, logits, {}, "bad.pt"); });
  };
  EXPECT_THAT(message(2, 2, {0, 0, nan, 0}),
              AllOf(HasSubstr("router bad.pt"), HasSubstr("row 1, unit 0 is nan")));
  EXPECT_THAT(message(2, 2, {0, -inf, 0, 0}), HasSubstr("row 0, unit 1 is -inf"));
  EXPECT_THAT(message(0, 2, {}), HasSubstr("0 rows of 2 units"));
  EXPECT_THAT(message(2, 0, {}), HasSubstr("2 rows of 0 units"));
  EXPECT_THAT(message(1, 3, {0, 0, 0}), HasSubstr("3 units in a row; it must be an even number"));
  EXPECT_THAT(message(2, 2, {0, 0, 0}), HasSubstr("3 logits for 2 rows of 2 units"));
}

TEST(RouterTest, RejectsPlacesOutside) {
  const Router router(2, 2, {0, 0, 0, 0});
  EXPECT_THAT(message_of<InputError>([&] { (void)router.logit(2, 0); }),
              HasSubstr("no row 2, unit 0: it has 2 rows of 2 units"));
  EXPECT_THAT(message_of<InputError>([&] { (void)router.score(0, -1); }), HasSubstr("unit -1"));
}

}  // namespace
}  // namespace l2c
