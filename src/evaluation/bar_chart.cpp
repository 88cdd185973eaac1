#include "l2c/evaluation/bar_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "bitmap_text.h"
#include "l2c/core/error.h"

namespace l2c {

namespace {

constexpr int margin = 16;
constexpr int bar = 22;        // a bar's thickness
constexpr int bar_gap = 2;     // between the bars of a group
constexpr int group_gap = 14;  // between groups
constexpr int axis_pixels = 560;
constexpr int mark = 6;
constexpr int swatch = 14;  // of the legend
constexpr std::size_t most_bars = 1000;

constexpr Colour white{255, 255, 255};
constexpr Colour black{30, 30, 30};
constexpr Colour line{216, 216, 216};

std::string value_text(double value) {
  return value >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

double largest_value(const BarChart& chart) {
  double largest = -1;
  for (const auto& group : chart.groups) {
    if (group.values.size() != chart.series.size()) {
      throw InputError(fmt::format("{} values for the {} series of a chart in \"{}\"",
                                   group.values.size(), chart.series.size(), group.label));
    }
    for (const auto& value : group.values) {
      if (!value) continue;
      if (!(*value >= 0) || !std::isfinite(*value)) {
        throw InputError(fmt::format("a bar of length {} in \"{}\"", *value, group.label));
      }
      largest = std::max(largest, *value);
    }
  }
  if (largest < 0) throw InputError("a chart without any value");
  return largest > 0 ? largest : 1;
}

// Sizes and places in pixels.
class Drawing {
 public:
  explicit Drawing(const BarChart& chart) : chart_(chart), largest_(largest_value(chart)) {
    if (chart.groups.size() * chart.series.size() > most_bars) {
      throw InputError(fmt::format("a chart of more than {} bars", most_bars));
    }
    int labels = text_width(chart.group_label);
    for (const auto& group : chart.groups) labels = std::max(labels, text_width(group.label));
    left_ = margin + labels + margin;
    top_ = margin + text_height + margin + text_height + margin;
    bottom_ = top_ + static_cast<int>(chart.groups.size()) * group_height();
    const int right = left_ + axis_pixels + 2 * margin + text_width("0.000e+00");
    bitmap_ = {.width = std::max(
                   {right, 2 * margin + text_width(chart.title), left_ + legend_width() + margin}),
               .height = bottom_ + mark + 2 * text_height + 2 * margin,
               .channels = 3,
               .pixels = {}};
    bitmap_.pixels.assign(static_cast<std::size_t>(bitmap_.width) *
                              static_cast<std::size_t>(bitmap_.height) * white.size(),
                          white[0]);
  }

  io::Bitmap operator()() {
    draw_text(bitmap_, margin, margin, chart_.title, black);
    draw_text(bitmap_, margin, top_ - text_height - margin / 2, chart_.group_label, black);
    legend();
    axis();
    int top = top_;
    for (const auto& group : chart_.groups) {
      bars(group, top + group_gap / 2);
      top += group_height();
    }
    return std::move(bitmap_);
  }

 private:
  [[nodiscard]] int group_height() const {
    return static_cast<int>(chart_.series.size()) * (bar + bar_gap) - bar_gap + group_gap;
  }

  [[nodiscard]] int legend_width() const {
    int width = 0;
    for (const auto& series : chart_.series) width += swatch + text_width(series.name) + 2 * margin;
    return width;
  }

  [[nodiscard]] int length(double value) const {
    return static_cast<int>(std::lround(value / largest_ * axis_pixels));
  }

  void legend() {
    int left = left_;
    const int top = top_ - text_height - margin / 2;
    for (const auto& series : chart_.series) {
      fill(bitmap_, left, top, swatch, swatch, series.colour);
      draw_text(bitmap_, left + swatch + margin / 2, top, series.name, black);
      left += swatch + text_width(series.name) + 2 * margin;
    }
  }

  void axis() {
    const double step = axis_step(largest_);
    for (int i = 0; i * step <= largest_ * (1 + 1e-9); ++i) {
      const int x = left_ + length(i * step);
      const auto text = fmt::format("{:g}", i * step);
      fill(bitmap_, x, top_, 1, bottom_ - top_ + mark, i == 0 ? black : line);
      draw_text(bitmap_, x - text_width(text) / 2, bottom_ + mark + 2, text, black);
    }
    fill(bitmap_, left_, bottom_, axis_pixels, 1, black);
    draw_text(bitmap_, left_ + (axis_pixels - text_width(chart_.value_label)) / 2,
              bottom_ + mark + text_height + margin / 2, chart_.value_label, black);
  }

  void bars(const BarGroup& group, int top) {
    const int middle = top + (group_height() - group_gap) / 2;
    draw_text(bitmap_, margin, middle - swatch / 2, group.label, black);
    for (std::size_t k = 0; k < group.values.size(); ++k, top += bar + bar_gap) {
      if (!group.values[k]) continue;
      const int pixels = length(*group.values[k]);
      fill(bitmap_, left_ + 1, top, pixels, bar, chart_.series[k].colour);
      draw_text(bitmap_, left_ + pixels + margin / 2, top + (bar - swatch) / 2,
                value_text(*group.values[k]), black);
    }
  }

  const BarChart& chart_;
  double largest_;
  int left_ = 0, top_ = 0, bottom_ = 0;  // of the bars' area
  io::Bitmap bitmap_;
};

}  // namespace

double axis_step(double largest) {
  constexpr int most_marks = 6;
  const double least = largest / most_marks;
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

io::Bitmap draw(const BarChart& chart) { return Drawing(chart)(); }

}  // namespace l2c
