#include "l2c/evaluation/router_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "l2c/core/error.h"
#include "support/golden.h"
#include "support/messages.h"

namespace l2c {
namespace {

using test::message_of;
using testing::HasSubstr;

using Colour = std::array<std::uint8_t, 3>;
// Of score 1; other scores are paler.
constexpr Colour attention{176, 58, 0};
constexpr Colour mlp{8, 64, 129};
constexpr Colour full{222, 222, 222};

int count(io::Bitmap bitmap, const Colour& colour) {
  int found = 0;
  for (int row = 0; row < bitmap.height; ++row) {
    for (int column = 0; column < bitmap.width; ++column) {
      found += std::equal(colour.begin(), colour.end(), bitmap.at(row, column)) ? 1 : 0;
    }
  }
  return found;
}

// Scores are 1 (to the last bit) but where said.
Router router_of(int steps, int blocks, const std::vector<int>& low_units,
                 const std::string& sampler = "ddim") {
  std::vector<float> logits(static_cast<std::size_t>(steps * 2 * blocks), 100);
  for (int row = 0; row < steps; ++row) {
    for (const int unit : low_units) {
      logits[static_cast<std::size_t>(row * 2 * blocks + unit)] = -100;
    }
  }
  return {steps, 2 * blocks, std::move(logits), {.sampler = sampler}};
}

TEST(RouterChart, AttentionAndMlpHaveColoursOfTheirOwn) {
  const auto all = draw_router_chart(router_of(6, 4, {}), 0.5, "all computed");
  EXPECT_EQ(all.channels, 3);
  // Of six steps two may reuse (row 4 and 2; row 0 too: evaluations 1, 3, 5), four blocks each.
  const int cells = count(all, attention);
  EXPECT_GT(cells, 3 * 4 * 100);
  EXPECT_NEAR(cells, count(all, mlp), 400) << "but for the legend";
  // A block's attention is reused, nothing of MLP.
  const auto one = draw_router_chart(router_of(6, 4, {2}), 0.5, "all computed");
  EXPECT_EQ(cells - count(one, attention), 3 * 16 * 16);
  EXPECT_EQ(count(one, mlp), count(all, mlp));
}

TEST(RouterChart, AReusedBranchIsASmallSquareOfItsScore) {
  const Router router = router_of(6, 4, {});
  const auto computed = draw_router_chart(router, 0.5, "t");
  const auto reused = draw_router_chart(router, 1, "t");  // no score is above 1
  EXPECT_EQ(count(computed, mlp) - count(reused, mlp), 3 * 4 * (16 * 16 - 6 * 6));
}

TEST(RouterChart, StepsThatComputeEverythingAreGray) {
  const int grays = count(draw_router_chart(router_of(6, 4, {}), 0.5, "t"), full);
  EXPECT_EQ(grays, 3 * 8 * 16 * 16 + 14 * 14) << "and one in the legend";
  // Routers that do not say their sampler.
  const int none = count(draw_router_chart(router_of(6, 4, {}, ""), 0.5, "t"), full);
  EXPECT_EQ(none, 14 * 14);
}

TEST(RouterChart, ShadesFollowTheScores) {
  std::vector<float> logits;
  for (int unit = 0; unit < 16; ++unit) logits.push_back(static_cast<float>(unit - 8));
  const Router router(1, 16, logits);
  auto bitmap = draw_router_chart(router, 0, "t");
  // The one row of cells: the line of pixels with most colours.
  std::size_t most = 0;
  for (int row = 0; row < bitmap.height; ++row) {
    std::set<Colour> colours;
    for (int column = 0; column < bitmap.width; ++column) {
      const auto* pixel = bitmap.at(row, column);
      colours.insert({pixel[0], pixel[1], pixel[2]});
    }
    if (row < 100) most = std::max(most, colours.size());
  }
  EXPECT_GE(most, 14U);
}

TEST(RouterChart, FitsWhatItShows) {
  const auto small = draw_router_chart(router_of(2, 1, {}), 0.5, "t");
  const auto large = draw_router_chart(router_of(50, 28, {}), 0.5, "t");
  EXPECT_GT(large.height, small.height + 40 * 18);
  EXPECT_GT(large.width, 2 * 28 * 18);
  const auto titled = draw_router_chart(router_of(2, 1, {}), 0.5, std::string(200, 'x'));
  EXPECT_GT(titled.width, small.width + 500);
  // Cells shrink; nothing is lost.
  const auto deep = draw_router_chart(router_of(1000, 200, {}), 0.5, "odd \xc3\xa9\x01");
  EXPECT_GT(deep.height, 4000);
  EXPECT_LT(deep.height, 4400);
  EXPECT_GT(count(deep, attention), 500 * 200 * 9 - 1);
}

TEST(RouterChart, Refuses) {
  const Router router = router_of(2, 1, {});
  for (const double threshold : {-0.1, 1.5, std::nan("")}) {
    EXPECT_THAT(message_of([&] { draw_router_chart(router, threshold, ""); }),
                HasSubstr("outside [0, 1]"));
  }
  EXPECT_THAT(message_of([&] { draw_router_chart(router_of(1001, 1, {}, ""), 0.5, ""); }),
              HasSubstr("1000 are the most"));
  EXPECT_THAT(message_of([&] { draw_router_chart(router_of(1000, 4000, {}, ""), 0.5, ""); }),
              HasSubstr("too many for a picture"));
}

}  // namespace
}  // namespace l2c
