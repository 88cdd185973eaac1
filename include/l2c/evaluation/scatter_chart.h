// Charts of points on two axes, as a bitmap and as SVG. No LibTorch header behind it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "l2c/io/png.h"

namespace l2c {

enum class Marker { circle, square, diamond, triangle };

struct ScatterSeries {
  std::string name{};
  std::array<std::uint8_t, 3> colour{};
  Marker marker = Marker::circle;
};

struct ScatterPoint {
  std::size_t series = 0;
  double x = 0;  // >= 0
  double y = 0;
  std::optional<double> spread{};  // of y, to both sides
  std::string label{};             // beside it; empty: none
  std::string note{};              // SVG: shown while the mouse rests on it
  bool filled = true;
};

struct ScatterChart {
  std::string title{};
  std::string x_label{};
  std::string y_label{};
  std::vector<ScatterSeries> series{};
  std::vector<ScatterPoint> points{};
  std::vector<std::size_t> line{};  // points that are joined, in this order
  std::string line_name{};          // of the legend; empty: not in it, as the next three
  std::string filled_name{};
  std::string hollow_name{};
  std::string level_name{};
  std::optional<double> level{};  // a dashed line at this y
  std::optional<double> top{};    // points above it are drawn at the upper edge, with their value
};

// An RGB picture of 1200 x 760 or wider, x from 0, y around its points, a legend at the right.
// Labels are placed where they cover least. Texts are ASCII; anything else becomes '?'. Throws
// InputError: no points or more than 1000, numbers that are not finite or beyond 1e100, x < 0, a
// series or point of the line that does not exist.
io::Bitmap draw(const ScatterChart& chart);

// The same as an <svg> element for an HTML page, texts escaped (UTF-8). Throws as draw() does.
std::string svg(const ScatterChart& chart);

}  // namespace l2c
