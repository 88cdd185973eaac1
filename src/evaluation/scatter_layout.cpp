#include "scatter_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/evaluation/bar_chart.h"
#include "scatter_labels.h"

namespace l2c {

namespace {

constexpr double margin = 16;
constexpr double plot_width = 820;
constexpr double plot_height = 600;
constexpr double legend_mark = 30;
constexpr std::size_t most_points = 1000;
constexpr double largest = 1e100;    // of numbers: lengths between them must not overflow
constexpr double smallest = 1e-100;  // of differences that count as such

bool is_usable(double number) { return std::abs(number) <= largest; }  // not for NaN

void check(const ScatterChart& chart) {
  if (chart.points.empty()) throw InputError("a chart without any point");
  if (chart.points.size() > most_points) {
    throw InputError(fmt::format("a chart of more than {} points", most_points));
  }
  for (const auto& point : chart.points) {
    const double spread = point.spread.value_or(0);
    if (!is_usable(point.x) || !is_usable(point.y) || point.x < 0 || !is_usable(spread)) {
      throw InputError(fmt::format("a point at ({}, {}) with spread {} in \"{}\"", point.x, point.y,
                                   spread, point.label));
    }
    if (point.series >= chart.series.size()) {
      throw InputError(
          fmt::format("a point of series {} of {}", point.series, chart.series.size()));
    }
  }
  for (const auto& [name, number] :
       {std::pair{"level", chart.level}, std::pair{"top", chart.top}}) {
    if (number && !is_usable(*number)) {
      throw InputError(fmt::format("a chart's {} at {}", name, *number));
    }
  }
  for (const auto number : chart.line) {
    if (number >= chart.points.size()) {
      throw InputError(fmt::format("a line through point {} of {}", number, chart.points.size()));
    }
  }
}

struct Range {
  double low = 0, high = 1;
};

double capped(const ScatterChart& chart, double y) { return std::min(y, chart.top.value_or(y)); }

Range y_range(const ScatterChart& chart) {
  Range range{.low = HUGE_VAL, .high = -HUGE_VAL};
  const auto widen = [&](double y) {
    range.low = std::min(range.low, y);
    range.high = std::max(range.high, y);
  };
  for (const auto& point : chart.points) {
    const double spread = point.spread.value_or(0);
    widen(capped(chart, point.y - spread));
    widen(capped(chart, point.y + spread));
  }
  if (chart.level) widen(*chart.level);
  const double size = std::max(std::abs(range.low), std::abs(range.high));
  // At least what the six digits of a mark can tell apart.
  double pad = std::max(0.07 * (range.high - range.low), 1e-4 * size);
  if (range.high - range.low < smallest) pad = std::max(0.1 * size, 1e-3);
  return {.low = range.low - pad, .high = range.high + pad};
}

Range x_range(const ScatterChart& chart) {
  double farthest = 0;
  for (const auto& point : chart.points) farthest = std::max(farthest, point.x);
  return {.low = 0, .high = farthest > smallest ? 1.08 * farthest : 1};
}

std::vector<AxisMark> marks(const Range& range, double from, double to) {
  constexpr int most = 20;  // axis_step() asks for 7 at most
  const double step = axis_step(range.high - range.low);
  const double first = std::ceil(range.low / step - 1e-9);
  std::vector<AxisMark> found;
  for (int k = 0; k < most && (first + k) * step <= range.high; ++k) {
    const double value = (first + k) * step;
    found.push_back({.at = from + (value - range.low) / (range.high - range.low) * (to - from),
                     .text = fmt::format("{:g}", std::abs(value) < step / 2 ? 0.0 : value)});
  }
  return found;
}

double widest(const std::vector<AxisMark>& axis, const TextSize& text) {
  double width = 0;
  for (const auto& mark : axis) width = std::max(width, text.width(mark.text));
  return width;
}

double legend_width(const ScatterChart& chart, const TextSize& text) {
  double width = 0;
  for (const auto& series : chart.series) width = std::max(width, text.width(series.name));
  for (const auto* name :
       {&chart.line_name, &chart.filled_name, &chart.hollow_name, &chart.level_name}) {
    width = std::max(width, text.width(*name));
  }
  return width + legend_mark;
}

void place_frame(ScatterLayout& layout, const ScatterChart& chart, const TextSize& text) {
  const auto y = y_range(chart);
  const double top = margin + 2 * text.height + margin + text.height;
  layout.y_marks = marks(y, top + plot_height, top);
  const double left = margin + widest(layout.y_marks, text) + margin;
  layout.plot = {.left = left, .top = top, .right = left + plot_width, .bottom = top + plot_height};
  const auto x = x_range(chart);
  layout.x_marks = marks(x, layout.plot.left, layout.plot.right);
  layout.legend_left = layout.plot.right + 1.5 * margin;
  layout.width = std::max({layout.legend_left + legend_width(chart, text) + margin,
                           2 * margin + text.width(chart.title),
                           2 * margin + text.width(chart.y_label), 1200.0});
  layout.height = layout.plot.bottom + 3 * text.height + margin;
  const auto height_of = [&](double value) {
    return layout.plot.bottom - (value - y.low) / (y.high - y.low) * plot_height;
  };
  for (const auto& point : chart.points) {
    const bool above = capped(chart, point.y) < point.y;
    const double spread = above ? 0 : point.spread.value_or(0);
    PlacedPoint placed;
    placed.spot = {.x = layout.plot.left + point.x / x.high * plot_width,
                   .y = above ? layout.plot.top + marker_radius : height_of(point.y)};
    placed.above = above;
    placed.text = point.label;
    if (above && !point.label.empty()) placed.text += fmt::format(" ({:.3g})", point.y);
    if (!above) {
      placed.low = height_of(point.y - spread);
      placed.high = height_of(capped(chart, point.y + spread));
    }
    layout.points.push_back(placed);
  }
  if (chart.level) layout.level = height_of(*chart.level);
}

}  // namespace

ScatterLayout layout_of(const ScatterChart& chart, const TextSize& text) {
  check(chart);
  ScatterLayout layout;
  place_frame(layout, chart, text);
  place_labels(layout, chart, text);
  return layout;
}

}  // namespace l2c
