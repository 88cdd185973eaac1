// Where the parts of a scatter chart lie, for both ways of drawing it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "l2c/evaluation/scatter_chart.h"

namespace l2c {

struct TextSize {
  std::function<double(const std::string&)> width;
  double height = 0;  // of a line
};

struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
};

struct Spot {
  double x = 0, y = 0;
};

struct AxisMark {
  double at = 0;
  std::string text;
};

struct PlacedPoint {
  Spot spot{};
  bool above = false;            // beyond the chart's top: `spot` lies on its edge
  std::string text{};            // its label, with the value where it lies above; or empty
  Box box{};                     // of the label
  std::optional<Spot> leader{};  // where the line from the point to a distant label ends
  double low = 0, high = 0;      // the spread's ends; equal: none
};

struct ScatterLayout {
  double width = 0, height = 0;
  Box plot;
  double legend_left = 0;
  std::vector<AxisMark> x_marks, y_marks;
  std::vector<PlacedPoint> points;
  std::optional<double> level;  // where it lies
};

inline constexpr double marker_radius = 7;

// Throws InputError as draw() does. Lengths in pixels from the upper left corner.
ScatterLayout layout_of(const ScatterChart& chart, const TextSize& text);

}  // namespace l2c
