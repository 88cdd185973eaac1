#include "scatter_walk.h"

namespace l2c {

namespace {

constexpr Colour black{30, 30, 30};
constexpr Colour faint{226, 226, 226};
constexpr Colour gray{120, 120, 120};
constexpr double margin = 16;
constexpr double legend_text = 30;  // from the legend's left edge

class Walk {
 public:
  Walk(const ScatterChart& chart, const ScatterLayout& layout, ScatterPen& pen)
      : chart_(chart), layout_(layout), plot_(layout.plot), pen_(pen) {}

  void operator()() {
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
  }

 private:
  void axes() {
    pen_.title({margin, margin}, chart_.title);
    pen_.text({margin, plot_.top - 1.5 * text_height}, chart_.y_label);
    for (const auto& mark : layout_.x_marks) {
      pen_.line({mark.at, plot_.top}, {mark.at, plot_.bottom + 6}, 1, faint);
      pen_.text({mark.at, plot_.bottom + 9}, mark.text, Anchor::middle);
    }
    for (const auto& mark : layout_.y_marks) {
      pen_.line({plot_.left - 6, mark.at}, {plot_.right, mark.at}, 1, faint);
      pen_.text({plot_.left - 12, mark.at - 8}, mark.text, Anchor::right);
    }
    pen_.line({plot_.left, plot_.top}, {plot_.left, plot_.bottom}, 1, black);
    pen_.line({plot_.left, plot_.bottom}, {plot_.right, plot_.bottom}, 1, black);
    pen_.text({(plot_.left + plot_.right) / 2, plot_.bottom + 1.8 * text_height}, chart_.x_label,
              Anchor::middle);
  }

  void lines() {
    if (layout_.level) pen_.dashes(plot_.left, plot_.right, *layout_.level);
    if (chart_.line.size() < 2) return;
    std::vector<Spot> spots;
    for (const auto number : chart_.line) spots.push_back(layout_.points[number].spot);
    pen_.joined(spots);
  }

  void point(std::size_t number) {
    const auto& placed = layout_.points[number];
    const auto& point = chart_.points[number];
    const auto& series = chart_.series[point.series];
    const Spot& spot = placed.spot;
    if (placed.low != placed.high) {
      pen_.line({spot.x, placed.high}, {spot.x, placed.low}, 2, series.colour);
      for (const double end : {placed.low, placed.high}) {
        pen_.line({spot.x - 5, end}, {spot.x + 5, end}, 2, series.colour);
      }
    }
    if (placed.above) arrow(spot, series.colour);
    pen_.marker(series.marker, spot, series.colour, point.filled, point.note);
  }

  void arrow(const Spot& from, const Colour& colour) {
    const Spot tip{.x = from.x, .y = plot_.top - 11};
    pen_.line(from, tip, 2, colour);
    pen_.line({tip.x - 5, tip.y + 6}, tip, 2, colour);
    pen_.line({tip.x + 5, tip.y + 6}, tip, 2, colour);
  }

  void label(const PlacedPoint& placed) {
    if (placed.leader) pen_.line(placed.spot, *placed.leader, 1, gray);
    pen_.text({placed.box.left + 2, placed.box.top + 3}, placed.text);
  }

  void legend() {
    const double left = layout_.legend_left;
    double top = plot_.top;
    const auto entry = [&](const std::string& name, const auto& sign) {
      if (name.empty()) return;
      sign(Spot{.x = left + 10, .y = top + 7});
      pen_.text({left + legend_text, top}, name);
      top += text_height + 6;
    };
    for (const auto& series : chart_.series) {
      entry(series.name,
            [&](const Spot& s) { pen_.marker(series.marker, s, series.colour, true, ""); });
    }
    top += text_height;
    entry(chart_.line_name, [&](const Spot& s) {
      pen_.joined({{.x = s.x - 10, .y = s.y}, {.x = s.x + 10, .y = s.y}});
    });
    entry(chart_.level_name, [&](const Spot& s) { pen_.dashes(s.x - 10, s.x + 12, s.y); });
    entry(chart_.filled_name,
          [&](const Spot& s) { pen_.marker(Marker::circle, s, gray, true, ""); });
    entry(chart_.hollow_name,
          [&](const Spot& s) { pen_.marker(Marker::circle, s, gray, false, ""); });
  }

  const ScatterChart& chart_;
  const ScatterLayout& layout_;
  const Box& plot_;
  ScatterPen& pen_;
};

}  // namespace

void draw_scatter(const ScatterChart& chart, const ScatterLayout& layout, ScatterPen& pen) {
  Walk(chart, layout, pen)();
}

}  // namespace l2c
