#include "l2c/evaluation/scatter_chart.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "bitmap_text.h"
#include "scatter_layout.h"

namespace l2c {

namespace {

constexpr Colour white{255, 255, 255};
constexpr Colour black{30, 30, 30};
constexpr Colour faint{226, 226, 226};
constexpr Colour gray{120, 120, 120};

int whole(double value) { return static_cast<int>(std::lround(value)); }

// Distance of a spot from a marker's outline, negative inside. Triangles point up.
double outside(Marker marker, double x, double y, double radius) {
  switch (marker) {
    case Marker::square:
      return std::max(std::abs(x), std::abs(y)) - 0.88 * radius;
    case Marker::diamond:
      return (std::abs(x) + std::abs(y) - 1.25 * radius) / std::sqrt(2.0);
    case Marker::triangle:
      return std::max(y - 0.75 * radius, (2 * std::abs(x) - y) / std::sqrt(5.0) - 0.55 * radius);
    case Marker::circle:
      break;
  }
  return std::hypot(x, y) - radius;
}

double from_segment(double x, double y, const Spot& a, const Spot& b) {
  const double dx = b.x - a.x;
  const double dy = b.y - a.y;
  const double squares = dx * dx + dy * dy;
  const double along =
      squares > 0 ? std::clamp(((x - a.x) * dx + (y - a.y) * dy) / squares, 0.0, 1.0) : 0;
  return std::hypot(x - a.x - along * dx, y - a.y - along * dy);
}

class Drawing {
 public:
  explicit Drawing(const ScatterChart& chart)
      : chart_(chart),
        layout_(layout_of(chart, {.width = [](const std::string& t) { return text_width(t); },
                                  .height = text_height})) {
    bitmap_ = {.width = whole(layout_.width),
               .height = whole(layout_.height),
               .channels = 3,
               .pixels = {}};
    bitmap_.pixels.assign(static_cast<std::size_t>(bitmap_.width) *
                              static_cast<std::size_t>(bitmap_.height) * white.size(),
                          white[0]);
  }

  io::Bitmap operator()() {
    axes();
    lines();
    for (const bool filled : {false, true}) {
      for (std::size_t k = 0; k < chart_.points.size(); ++k) {
        if (chart_.points[k].filled == filled) point(k);
      }
    }
    for (const auto& placed : layout_.points) {
      if (!placed.text.empty()) label(placed);
    }
    legend();
    return std::move(bitmap_);
  }

 private:
  void text(double left, double top, const std::string& words, const Colour& colour = black) {
    draw_text(bitmap_, whole(left), whole(top), words, colour);
  }

  // Paints where `distance` (x, y) from a shape is below 0, with a soft edge.
  template <typename Distance>
  void paint(const Box& box, const Colour& colour, const Distance& distance) {
    for (int row = std::max(whole(box.top) - 1, 0);
         row <= std::min(whole(box.bottom) + 1, bitmap_.height - 1); ++row) {
      for (int column = std::max(whole(box.left) - 1, 0);
           column <= std::min(whole(box.right) + 1, bitmap_.width - 1); ++column) {
        const double cover = std::clamp(0.5 - distance(column, row), 0.0, 1.0);
        auto* pixel = bitmap_.at(row, column);
        for (std::size_t c = 0; c < colour.size(); ++c) {
          pixel[c] =
              static_cast<std::uint8_t>(std::lround(cover * colour[c] + (1 - cover) * pixel[c]));
        }
      }
    }
  }

  void segment(const Spot& a, const Spot& b, double thickness, const Colour& colour) {
    const Box box{.left = std::min(a.x, b.x) - thickness,
                  .top = std::min(a.y, b.y) - thickness,
                  .right = std::max(a.x, b.x) + thickness,
                  .bottom = std::max(a.y, b.y) + thickness};
    paint(box, colour,
          [&](double x, double y) { return from_segment(x, y, a, b) - thickness / 2; });
  }

  void marker(Marker kind, const Spot& spot, const Colour& colour, bool filled) {
    const Box box{
        .left = spot.x - 10, .top = spot.y - 10, .right = spot.x + 10, .bottom = spot.y + 10};
    const auto shape = [&](double radius) {
      return [kind, spot, radius](double x, double y) {
        return outside(kind, x - spot.x, y - spot.y, radius);
      };
    };
    paint(box, white, shape(marker_radius + 1.5));
    paint(box, colour, shape(marker_radius));
    if (!filled) paint(box, white, shape(marker_radius - 2.4));
  }

  void dashes(double left, double right, double y) {
    for (double x = left; x < right; x += 14) {
      fill(bitmap_, whole(x), whole(y), std::min(8, whole(right - x)), 2, gray);
    }
  }

  void axes() {
    const Box& plot = layout_.plot;
    text(16, 16, chart_.title);
    text(16, plot.top - 1.5 * text_height, chart_.y_label);
    for (const auto& mark : layout_.x_marks) {
      fill(bitmap_, whole(mark.at), whole(plot.top), 1, whole(plot.bottom - plot.top) + 6, faint);
      text(mark.at - text_width(mark.text) / 2.0, plot.bottom + 9, mark.text);
    }
    for (const auto& mark : layout_.y_marks) {
      fill(bitmap_, whole(plot.left) - 6, whole(mark.at), whole(plot.right - plot.left) + 6, 1,
           faint);
      text(plot.left - 12 - text_width(mark.text), mark.at - 8, mark.text);
    }
    fill(bitmap_, whole(plot.left), whole(plot.top), 1, whole(plot.bottom - plot.top), black);
    fill(bitmap_, whole(plot.left), whole(plot.bottom), whole(plot.right - plot.left), 1, black);
    text((plot.left + plot.right - text_width(chart_.x_label)) / 2, plot.bottom + 1.8 * text_height,
         chart_.x_label);
  }

  void lines() {
    if (layout_.level) dashes(layout_.plot.left, layout_.plot.right, *layout_.level);
    for (std::size_t k = 1; k < chart_.line.size(); ++k) {
      segment(layout_.points[chart_.line[k - 1]].spot, layout_.points[chart_.line[k]].spot, 2.5,
              black);
    }
  }

  void point(std::size_t number) {
    const auto& placed = layout_.points[number];
    const auto& series = chart_.series[chart_.points[number].series];
    const Spot& spot = placed.spot;
    if (placed.low != placed.high) {
      fill(bitmap_, whole(spot.x), whole(placed.high), 2, whole(placed.low - placed.high),
           series.colour);
      for (const double end : {placed.low, placed.high}) {
        fill(bitmap_, whole(spot.x) - 4, whole(end), 10, 2, series.colour);
      }
    }
    if (placed.above) {
      segment({spot.x, spot.y}, {spot.x, layout_.plot.top - 10}, 2, series.colour);
      segment({spot.x - 5, layout_.plot.top - 5}, {spot.x, layout_.plot.top - 11}, 2,
              series.colour);
      segment({spot.x + 5, layout_.plot.top - 5}, {spot.x, layout_.plot.top - 11}, 2,
              series.colour);
    }
    marker(series.marker, spot, series.colour, chart_.points[number].filled);
  }

  void label(const PlacedPoint& placed) {
    if (placed.leader) segment(placed.spot, *placed.leader, 1, gray);
    text(placed.box.left + 2, placed.box.top + 3, placed.text);
  }

  void legend() {
    const double left = layout_.legend_left;
    double top = layout_.plot.top;
    const auto entry = [&](const std::string& name, const auto& sign) {
      if (name.empty()) return;
      sign(Spot{.x = left + 10, .y = top + 7});
      text(left + 30, top, name);
      top += text_height + 6;
    };
    for (const auto& series : chart_.series) {
      entry(series.name, [&](const Spot& s) { marker(series.marker, s, series.colour, true); });
    }
    top += text_height;
    entry(chart_.line_name,
          [&](const Spot& s) { segment({s.x - 10, s.y}, {s.x + 10, s.y}, 2.5, black); });
    entry(chart_.level_name, [&](const Spot& s) { dashes(s.x - 10, s.x + 12, s.y); });
    entry(chart_.filled_name, [&](const Spot& s) { marker(Marker::circle, s, gray, true); });
    entry(chart_.hollow_name, [&](const Spot& s) { marker(Marker::circle, s, gray, false); });
  }

  const ScatterChart& chart_;
  ScatterLayout layout_;
  io::Bitmap bitmap_;
};

}  // namespace

io::Bitmap draw(const ScatterChart& chart) { return Drawing(chart)(); }

}  // namespace l2c
