#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "l2c/core/html.h"
#include "l2c/evaluation/scatter_chart.h"
#include "scatter_layout.h"
#include "scatter_walk.h"

namespace l2c {

namespace {

constexpr double letter = 8.6;  // of 15 pixels, on average and a little more

// Letters, not bytes.
double width_of(const std::string& text) {
  const auto letters = std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
  return letter * static_cast<double>(letters);
}

std::string hex(const Colour& colour) {
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

constexpr double ascent = 13;  // from the upper edge of words to their base line

class SvgPen : public ScatterPen {
 public:
  void text(const Spot& at, const std::string& words, Anchor anchor) override {
    constexpr std::array<const char*, 3> names{"start", "middle", "end"};
    write(at, words, names.at(static_cast<std::size_t>(anchor)), "");
  }

  void title(const Spot& at, const std::string& words) override {
    write(at, words, "start", " font-size=\"18\" font-weight=\"bold\"");
  }

  void line(const Spot& a, const Spot& b, double thickness, const Colour& colour) override {
    line(a, b, fmt::format("stroke=\"{}\" stroke-width=\"{}\"", hex(colour), thickness));
  }

  void dashes(double left, double right, double y) override {
    line({left, y}, {right, y}, "stroke=\"#787878\" stroke-width=\"2\" stroke-dasharray=\"8 6\"");
  }

  void joined(const std::vector<Spot>& spots) override {
    std::string points;
    for (const auto& spot : spots) points += fmt::format("{:.1f},{:.1f} ", spot.x, spot.y);
    out_ += fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1e1e1e\" stroke-width=\"2.5\"/>\n",
        points);
  }

  void marker(Marker kind, const Spot& spot, const Colour& colour, bool filled,
              const std::string& note) override {
    const auto ink = hex(colour);
    out_ += shape(
        kind, spot, marker_radius,
        fmt::format("fill=\"{}\" stroke=\"{}\" stroke-width=\"2\"", filled ? ink : "#ffffff", ink));
    out_ += note.empty()
                ? "/>\n"
                : fmt::format("><title>{}</title></{}>\n", escaped_html(note), element(kind));
  }

  [[nodiscard]] const std::string& elements() const { return out_; }

 private:
  void write(const Spot& at, const std::string& words, const char* anchor, const char* more) {
    out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", at.x,
                        at.y + ascent, anchor, more, escaped_html(words));
  }

  void line(const Spot& a, const Spot& b, const std::string& style) {
    out_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", a.x,
                        a.y, b.x, b.y, style);
  }

  static const char* element(Marker marker) {
    return marker == Marker::circle ? "circle" : marker == Marker::square ? "rect" : "path";
  }

  std::string out_;
};

}  // namespace

std::string svg(const ScatterChart& chart) {
  const auto layout = layout_of(chart, {.width = width_of, .height = text_height});
  SvgPen pen;
  draw_scatter(chart, layout, pen);
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\" "
      "xmlns=\"http://www.w3.org/2000/svg\" font-size=\"15\" "
      "font-family=\"sans-serif\">\n{}</svg>\n",
      layout.width, layout.height, escaped_html(chart.title), pen.elements());
}

}  // namespace l2c
