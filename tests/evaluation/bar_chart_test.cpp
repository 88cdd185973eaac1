#include "l2c/evaluation/bar_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "l2c/core/error.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

using Colour = std::array<std::uint8_t, 3>;
constexpr Colour blue{10, 20, 200};
constexpr Colour red{200, 20, 10};
constexpr Colour ink{30, 30, 30};

BarChart chart_of(std::vector<BarGroup> groups) {
  return {.title = "title",
          .group_label = "groups",
          .value_label = "values",
          .series = {{.name = "one", .colour = blue}, {.name = "two", .colour = red}},
          .groups = std::move(groups)};
}

// The longest row of a colour: a bar, for the legend's squares are short.
int longest(io::Bitmap bitmap, const Colour& colour) {
  int most = 0;
  for (int row = 0; row < bitmap.height; ++row) {
    int count = 0;
    for (int column = 0; column < bitmap.width; ++column) {
      const auto* pixel = bitmap.at(row, column);
      count += std::equal(colour.begin(), colour.end(), pixel) ? 1 : 0;
    }
    most = std::max(most, count);
  }
  return most;
}

int ink_pixels(io::Bitmap bitmap) {
  int count = 0;
  for (int row = 0; row < bitmap.height; ++row) {
    for (int column = 0; column < bitmap.width; ++column) {
      count += std::equal(ink.begin(), ink.end(), bitmap.at(row, column)) ? 1 : 0;
    }
  }
  return count;
}

TEST(BarChart, BarsAreAsLongAsTheirValues) {
  const auto bitmap = draw(chart_of({{.label = "a", .values = {5.0, 10.0}}}));
  EXPECT_EQ(bitmap.channels, 3);
  EXPECT_EQ(bitmap.pixels.size(),
            static_cast<std::size_t>(bitmap.width) * static_cast<std::size_t>(bitmap.height) * 3);
  const int long_bar = longest(bitmap, red);
  EXPECT_GT(long_bar, 400);
  EXPECT_NEAR(longest(bitmap, blue), long_bar / 2, 2);
}

TEST(BarChart, AMissingValueHasNoBar) {
  const auto bitmap = draw(chart_of({{.label = "a", .values = {5.0, std::nullopt}}}));
  EXPECT_GT(longest(bitmap, blue), 400);
  EXPECT_LT(longest(bitmap, red), 30) << "the legend's square alone";
}

TEST(BarChart, TextsAreDrawn) {
  auto named = chart_of({{.label = "a", .values = {1.0, 1.0}}});
  const int plain = ink_pixels(draw(named));
  named.title = "a much longer title of this chart";
  const int more = ink_pixels(draw(named));
  EXPECT_GT(more, plain + 100);
  named.value_label = "values per second";
  EXPECT_GT(ink_pixels(draw(named)), more + 50);
  named.groups[0].label =
      "Fr\xc3\xa9"
      "chet \x01 \xff";  // the font has no such letters
  EXPECT_GT(draw(named).width, 0);
}

TEST(BarChart, GrowsWithItsGroupsAndFitsItsTexts) {
  const auto one = draw(chart_of({{.label = "a", .values = {1.0, 2.0}}}));
  const auto two =
      draw(chart_of({{.label = "a", .values = {1.0, 2.0}}, {.label = "b", .values = {1.0, 2.0}}}));
  EXPECT_GT(two.height, one.height + 40);
  const auto wide =
      draw(chart_of({{.label = "a label that takes more room", .values = {1.0, 2.0}}}));
  EXPECT_GT(wide.width, one.width + 100);
}

TEST(BarChart, MarksAreRoundNumbers) {
  EXPECT_DOUBLE_EQ(axis_step(6), 1);
  EXPECT_DOUBLE_EQ(axis_step(6.1), 2);
  EXPECT_DOUBLE_EQ(axis_step(30), 5);
  EXPECT_DOUBLE_EQ(axis_step(31), 10);
  EXPECT_DOUBLE_EQ(axis_step(0.003), 0.0005);
}

TEST(BarChart, RefusesWhatItCannotDraw) {
  const auto drawn = [](std::vector<BarGroup> groups) {
    return [chart = chart_of(std::move(groups))] { (void)draw(chart); };
  };
  EXPECT_THAT(drawn({}), ThrowsMessage<InputError>(HasSubstr("without any value")));
  EXPECT_THAT(drawn({{.label = "a", .values = {1.0}}}),
              ThrowsMessage<InputError>(HasSubstr("1 values for the 2 series")));
  for (const double value : {-1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THAT(drawn({{.label = "odd", .values = {1.0, value}}}),
                ThrowsMessage<InputError>(HasSubstr("odd")));
  }
  EXPECT_THAT(drawn(std::vector<BarGroup>(501, {.label = "a", .values = {1.0, 1.0}})),
              ThrowsMessage<InputError>(HasSubstr("1000 bars")));
}

}  // namespace
}  // namespace l2c
