#include <fmt/format.h>

#include <algorithm>

#include "l2c/core/html.h"
#include "l2c/evaluation/scatter_chart.h"
#include "scatter_layout.h"

namespace l2c {

namespace {

constexpr double letter = 8.6;  // of 15 pixels, on average and a little more
constexpr double line_height = 20;

// Letters, not bytes.
double width_of(const std::string& text) {
  const auto letters = std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
  return letter * static_cast<double>(letters);
}

std::string hex(const std::array<std::uint8_t, 3>& colour) {
  return fmt::format("#{:02x}{:02x}{:02x}", colour[0], colour[1], colour[2]);
}

std::string shape(Marker marker, const Spot& s, double r, const std::string& style) {
  switch (marker) {
    case Marker::square:
      return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" {}",
                         s.x - 0.88 * r, s.y - 0.88 * r, 1.76 * r, 1.76 * r, style);
    case Marker::diamond:
      return fmt::format(
          "<path d=\"M{:.1f} {:.1f}l{r:.1f} {r:.1f}l-{r:.1f} {r:.1f}l-{r:.1f} "
          "-{r:.1f}z\" {style}",
          s.x, s.y - 1.25 * r, fmt::arg("r", 1.25 * r), fmt::arg("style", style));
    case Marker::triangle:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l{:.1f} {:.1f}h-{:.1f}z\" {}", s.x,
                         s.y - 1.23 * r, r, 1.98 * r, 2 * r, style);
    case Marker::circle:
      break;
  }
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" {}", s.x, s.y, r, style);
}

class Svg {
 public:
  explicit Svg(const ScatterChart& chart)
      : chart_(chart), layout_(layout_of(chart, {.width = width_of, .height = line_height})) {}

  std::string operator()() {
    out_ = fmt::format(
        "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\" "
        "xmlns=\"http://www.w3.org/2000/svg\" font-size=\"15\" font-family=\"sans-serif\">\n",
        layout_.width, layout_.height, escaped_html(chart_.title));
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
    return out_ + "</svg>\n";
  }

 private:
  void text(double x, double base, const std::string& words, const char* anchor = "start",
            const char* more = "") {
    out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, base,
                        anchor, more, escaped_html(words));
  }

  void line(const Spot& a, const Spot& b, const std::string& style) {
    out_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", a.x,
                        a.y, b.x, b.y, style);
  }

  void axes() {
    const Box& plot = layout_.plot;
    text(16, 30, chart_.title, "start", " font-size=\"18\" font-weight=\"bold\"");
    text(16, plot.top - 16, chart_.y_label);
    const std::string faint = "stroke=\"#e2e2e2\"";
    for (const auto& mark : layout_.x_marks) {
      line({mark.at, plot.top}, {mark.at, plot.bottom + 6}, faint);
      text(mark.at, plot.bottom + 22, mark.text, "middle");
    }
    for (const auto& mark : layout_.y_marks) {
      line({plot.left - 6, mark.at}, {plot.right, mark.at}, faint);
      text(plot.left - 11, mark.at + 5, mark.text, "end");
    }
    const std::string ink = "stroke=\"#1e1e1e\"";
    line({plot.left, plot.top}, {plot.left, plot.bottom}, ink);
    line({plot.left, plot.bottom}, {plot.right, plot.bottom}, ink);
    text((plot.left + plot.right) / 2, plot.bottom + 46, chart_.x_label, "middle");
  }

  void lines() {
    if (layout_.level) {
      line({layout_.plot.left, *layout_.level}, {layout_.plot.right, *layout_.level}, dashed);
    }
    if (chart_.line.size() < 2) return;
    std::string points;
    for (const auto number : chart_.line) {
      const Spot& spot = layout_.points[number].spot;
      points += fmt::format("{:.1f},{:.1f} ", spot.x, spot.y);
    }
    out_ += fmt::format("<polyline points=\"{}\" {}/>\n", points, joined);
  }

  void point(std::size_t number) {
    const auto& placed = layout_.points[number];
    const auto& point = chart_.points[number];
    const auto& series = chart_.series[point.series];
    const Spot& spot = placed.spot;
    const auto colour = hex(series.colour);
    const auto stroke = fmt::format("stroke=\"{}\" stroke-width=\"2\"", colour);
    if (placed.low != placed.high) {
      line({spot.x, placed.high}, {spot.x, placed.low}, stroke);
      for (const double end : {placed.low, placed.high}) {
        line({spot.x - 4, end}, {spot.x + 4, end}, stroke);
      }
    }
    if (placed.above) {
      const double tip = layout_.plot.top - 11;
      line(spot, {spot.x, tip}, stroke);
      line({spot.x - 5, tip + 6}, {spot.x, tip}, stroke);
      line({spot.x + 5, tip + 6}, {spot.x, tip}, stroke);
    }
    out_ +=
        shape(series.marker, spot, marker_radius,
              fmt::format("fill=\"{}\" {}", point.filled ? colour : "#ffffff", stroke)) +
        fmt::format("><title>{}</title></{}>\n", escaped_html(point.note), element(series.marker));
  }

  static const char* element(Marker marker) {
    return marker == Marker::circle ? "circle" : marker == Marker::square ? "rect" : "path";
  }

  void label(const PlacedPoint& placed) {
    if (placed.leader) line(placed.spot, *placed.leader, "stroke=\"#787878\"");
    text(placed.box.left + 2, placed.box.bottom - 5, placed.text);
  }

  void legend() {
    const double left = layout_.legend_left;
    double top = layout_.plot.top;
    const auto entry = [&](const std::string& name, const auto& sign) {
      if (name.empty()) return;
      sign(Spot{.x = left + 10, .y = top + 7});
      text(left + 30, top + 12, name);
      top += line_height + 6;
    };
    const auto round = [&](const Spot& s, Marker marker, const std::string& stroke,
                           const std::string& inside) {
      out_ +=
          shape(marker, s, marker_radius,
                fmt::format("fill=\"{}\" stroke=\"{}\" stroke-width=\"2\"/>\n", inside, stroke));
    };
    for (const auto& series : chart_.series) {
      const auto colour = hex(series.colour);
      entry(series.name, [&](const Spot& s) { round(s, series.marker, colour, colour); });
    }
    top += line_height;
    entry(chart_.line_name, [&](const Spot& s) { line({s.x - 10, s.y}, {s.x + 10, s.y}, joined); });
    entry(chart_.level_name,
          [&](const Spot& s) { line({s.x - 10, s.y}, {s.x + 12, s.y}, dashed); });
    entry(chart_.filled_name,
          [&](const Spot& s) { round(s, Marker::circle, "#787878", "#787878"); });
    entry(chart_.hollow_name,
          [&](const Spot& s) { round(s, Marker::circle, "#787878", "#ffffff"); });
  }

  static constexpr const char* dashed =
      "stroke=\"#787878\" stroke-width=\"2\" stroke-dasharray=\"8 6\"";
  static constexpr const char* joined = "fill=\"none\" stroke=\"#1e1e1e\" stroke-width=\"2.5\"";

  const ScatterChart& chart_;
  ScatterLayout layout_;
  std::string out_;
};

}  // namespace

std::string svg(const ScatterChart& chart) { return Svg(chart)(); }

}  // namespace l2c
