// Charts of horizontal bars. No LibTorch header behind it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "l2c/io/png.h"

namespace l2c {

struct BarSeries {
  std::string name;
  std::array<std::uint8_t, 3> colour{};
};

struct BarGroup {
  std::string label;
  std::vector<std::optional<double>> values;  // one a series, >= 0; none: no bar
};

struct BarChart {
  std::string title;
  std::string group_label;  // above the groups' labels
  std::string value_label;  // below the axis
  std::vector<BarSeries> series;
  std::vector<BarGroup> groups;  // from above
};

// An RGB picture with the values at the bars' ends, an axis from 0 and a legend. Texts are ASCII;
// anything else becomes '?'. Throws InputError: no value at all, one that is negative or not
// finite, groups whose values are not as many as the series, or more than 1000 bars.
io::Bitmap draw(const BarChart& chart);

// The distance of an axis's marks, 1, 2 or 5 times a power of ten, with at most six of them up to
// `largest` (> 0).
double axis_step(double largest);

}  // namespace l2c
