#include "l2c/evaluation/scatter_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "l2c/core/error.h"
#include "scatter_layout.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

using Colour = std::array<std::uint8_t, 3>;
constexpr Colour blue{10, 20, 200};
constexpr Colour red{200, 20, 10};
const TextSize text{
    .width = [](const std::string& t) { return 10.0 * static_cast<double>(t.size()); },
    .height = 20};

ScatterChart chart_of(std::vector<ScatterPoint> points) {
  return {.title = "title",
          .x_label = "time",
          .y_label = "distance",
          .series = {{.name = "one", .colour = blue},
                     {.name = "two", .colour = red, .marker = Marker::square}},
          .points = std::move(points)};
}

int pixels_of(io::Bitmap bitmap, const Colour& colour) {
  int count = 0;
  for (int row = 0; row < bitmap.height; ++row) {
    for (int column = 0; column < bitmap.width; ++column) {
      count += std::equal(colour.begin(), colour.end(), bitmap.at(row, column)) ? 1 : 0;
    }
  }
  return count;
}

TEST(ScatterLayout, PlacesFollowTheNumbers) {
  const auto layout =
      layout_of(chart_of({{.x = 1, .y = 3}, {.x = 2, .y = 1}, {.x = 3, .y = 2}}), text);
  const auto& points = layout.points;
  EXPECT_NEAR(points[1].spot.x - points[0].spot.x, points[2].spot.x - points[1].spot.x, 1e-9);
  EXPECT_NEAR(points[0].spot.x - layout.plot.left, points[1].spot.x - points[0].spot.x, 1e-9);
  EXPECT_LT(points[0].spot.y, points[2].spot.y) << "more lies higher";
  EXPECT_NEAR(points[2].spot.y - points[0].spot.y, points[1].spot.y - points[2].spot.y, 1e-9);
  EXPECT_EQ(layout.x_marks.front().text, "0");
  for (const auto& point : points) EXPECT_FALSE(point.above);
}

TEST(ScatterLayout, MarksLieAtTheirValues) {
  const auto layout = layout_of(chart_of({{.x = 10, .y = 0.5}, {.x = 4, .y = 0.7}}), text);
  for (const auto& mark : layout.y_marks) {
    const double share = (std::stod(mark.text) - 0.5) / 0.2;
    const double expected =
        layout.points[0].spot.y + share * (layout.points[1].spot.y - layout.points[0].spot.y);
    EXPECT_NEAR(mark.at, expected, 1e-6) << mark.text;
  }
  EXPECT_GE(layout.y_marks.size(), 3U);
}

// Steps too small for the numbers they lie between would never end.
TEST(ScatterLayout, MarksEndWhateverTheNumbers) {
  struct Numbers {
    double low, high;
  };
  const double next = std::nextafter(1.0, 2.0);
  for (const auto [low, high] : std::vector<Numbers>{{1e18, 1e18 + 256},
                                                     {1e100, 1e100},
                                                     {-1e100, 1e100},
                                                     {1, next},
                                                     {0, 5e-324},
                                                     {-5e-324, 5e-324},
                                                     {0, 0},
                                                     {1e-300, 1e-299}}) {
    const auto layout = layout_of(
        chart_of({{.x = std::abs(low), .y = low}, {.x = std::abs(high), .y = high}}), text);
    for (const auto& marks : {layout.x_marks, layout.y_marks}) {
      ASSERT_GE(marks.size(), 2U) << low << " to " << high;
      EXPECT_LE(marks.size(), 8U) << low << " to " << high;
      for (std::size_t k = 1; k < marks.size(); ++k) {
        EXPECT_NE(marks[k].text, marks[k - 1].text) << low << " to " << high;
      }
    }
    for (const auto& point : layout.points) {
      EXPECT_TRUE(std::isfinite(point.spot.x) && std::isfinite(point.spot.y));
      EXPECT_GE(point.spot.y, layout.plot.top);
      EXPECT_LE(point.spot.y, layout.plot.bottom);
    }
  }
}

TEST(ScatterLayout, PointsBeyondTheTopLieOnItsEdgeWithTheirValue) {
  auto chart = chart_of(
      {{.x = 1, .y = 1}, {.x = 2, .y = 2}, {.x = 3, .y = 50, .spread = 9, .label = "far"}});
  chart.top = 2.5;
  const auto layout = layout_of(chart, text);
  EXPECT_TRUE(layout.points[2].above);
  EXPECT_NEAR(layout.points[2].spot.y, layout.plot.top + marker_radius, 1e-9);
  EXPECT_EQ(layout.points[2].text, "far (50)");
  EXPECT_EQ(layout.points[2].low, layout.points[2].high) << "no spread there";
  EXPECT_GT(layout.points[0].spot.y - layout.points[1].spot.y, 200) << "the others use the room";
}

TEST(ScatterLayout, LabelsDoNotOverlap) {
  std::vector<ScatterPoint> points;
  for (int k = 0; k < 12; ++k) {
    points.push_back(
        {.x = 5 + 0.2 * (k % 4), .y = 1 + 0.02 * k, .label = "label number " + std::to_string(k)});
  }
  points.push_back({.x = 0.1, .y = 2});
  const auto layout = layout_of(chart_of(points), text);
  for (std::size_t a = 0; a < 12; ++a) {
    const Box& one = layout.points[a].box;
    EXPECT_GE(one.left, layout.plot.left);
    EXPECT_LE(one.right, layout.plot.right);
    for (std::size_t b = a + 1; b < 12; ++b) {
      const Box& two = layout.points[b].box;
      EXPECT_TRUE(one.right <= two.left || two.right <= one.left || one.bottom <= two.top ||
                  two.bottom <= one.top)
          << a << " and " << b;
    }
  }
}

TEST(ScatterChart, DrawsPointsLinesAndSpreads) {
  auto chart = chart_of({{.x = 1, .y = 3}, {.series = 1, .x = 2, .y = 1}});
  const auto plain = draw(chart);
  EXPECT_GE(plain.width, 1200);
  const int filled = pixels_of(plain, red);
  EXPECT_GT(filled, 200) << "a marker and the legend's";
  chart.points[1].filled = false;
  EXPECT_LT(pixels_of(draw(chart), red), filled - 40);
  chart.points[1].spread = 0.5;
  EXPECT_GT(pixels_of(draw(chart), red), filled);
  const Colour ink{30, 30, 30};
  const int before = pixels_of(draw(chart), ink);
  chart.line = {0, 1};
  EXPECT_GT(pixels_of(draw(chart), ink), before + 300);
  const int joined = pixels_of(draw(chart), ink);
  chart.points[0].label = "a name";
  EXPECT_GT(pixels_of(draw(chart), ink), joined + 50);
}

TEST(ScatterChart, SvgHasEveryPointAndEscapesTexts) {
  auto chart = chart_of(
      {{.x = 1, .y = 3, .label = "<b>&", .note = "<script>"}, {.series = 1, .x = 2, .y = 1}});
  chart.title = "a \"title\"";
  chart.line = {0, 1};
  chart.line_name = "joined";
  chart.level = 2;
  const auto picture = svg(chart);
  EXPECT_TRUE(picture.starts_with("<svg "));
  EXPECT_TRUE(picture.ends_with("</svg>\n"));
  EXPECT_THAT(picture, HasSubstr("&lt;b&gt;&amp;"));
  EXPECT_THAT(picture, HasSubstr("<title>&lt;script&gt;</title></circle>"));
  EXPECT_THAT(picture, Not(HasSubstr("<script")));
  EXPECT_THAT(picture, HasSubstr("a &quot;title&quot;"));
  EXPECT_THAT(picture, HasSubstr("<polyline"));
  EXPECT_THAT(picture, HasSubstr("stroke-dasharray"));
  EXPECT_THAT(picture, HasSubstr("joined"));
}

TEST(ScatterChart, RefusesWhatItCannotDraw) {
  const auto refused = [](const ScatterChart& chart, const char* says) {
    EXPECT_THAT([&] { (void)draw(chart); }, ThrowsMessage<InputError>(HasSubstr(says)));
    EXPECT_THAT([&] { (void)svg(chart); }, ThrowsMessage<InputError>(HasSubstr(says)));
  };
  refused(chart_of({}), "without any point");
  for (const double odd : {std::nan(""), HUGE_VAL}) {
    refused(chart_of({{.x = 1, .y = odd, .label = "odd"}}), "odd");
    refused(chart_of({{.x = odd, .y = 1, .label = "odd"}}), "odd");
    refused(chart_of({{.x = 1, .y = 1, .spread = odd, .label = "odd"}}), "odd");
  }
  refused(chart_of({{.x = -1, .y = 1, .label = "odd"}}), "odd");
  for (const double odd : {std::nan(""), HUGE_VAL, -1e101}) {
    auto with_level = chart_of({{.x = 1, .y = 1}});
    with_level.level = odd;
    refused(with_level, "level at");
    auto with_top = chart_of({{.x = 1, .y = 1}});
    with_top.top = odd;
    refused(with_top, "top at");
  }
  refused(chart_of({{.x = 1, .y = 1e101, .label = "odd"}}), "odd");
  refused(chart_of({{.series = 2, .x = 1, .y = 1}}), "series 2 of 2");
  auto chart = chart_of({{.x = 1, .y = 1}});
  chart.line = {1};
  refused(chart, "point 1 of 1");
  refused(chart_of(std::vector<ScatterPoint>(1001, {.x = 1, .y = 1})), "1000 points");
}

}  // namespace
}  // namespace l2c
