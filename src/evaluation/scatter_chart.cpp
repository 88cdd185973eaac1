#include "l2c/evaluation/scatter_chart.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "bitmap_text.h"
#include "scatter_layout.h"
#include "scatter_walk.h"

namespace l2c {

namespace {

constexpr Colour white{255, 255, 255};
constexpr Colour black{30, 30, 30};
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

class BitmapPen : public ScatterPen {
 public:
  explicit BitmapPen(const ScatterLayout& layout)
      : bitmap_{.width = whole(layout.width),
                .height = whole(layout.height),
                .channels = 3,
                .pixels = {}} {
    bitmap_.pixels.assign(static_cast<std::size_t>(bitmap_.width) *
                              static_cast<std::size_t>(bitmap_.height) * white.size(),
                          white[0]);
  }

  io::Bitmap take() { return std::move(bitmap_); }

  void text(const Spot& at, const std::string& words, Anchor anchor) override {
    const double width = text_width(words);
    const double before = anchor == Anchor::left ? 0 : anchor == Anchor::right ? width : width / 2;
    draw_text(bitmap_, whole(at.x - before), whole(at.y), words, black);
  }

  void title(const Spot& at, const std::string& words) override { text(at, words, Anchor::left); }

  // Upright and level ones take whole pixels: a soft edge would be a blur.
  void line(const Spot& a, const Spot& b, double thickness, const Colour& colour) override {
    const Spot low{.x = std::min(a.x, b.x), .y = std::min(a.y, b.y)};
    if (a.x == b.x) {
      fill(bitmap_, whole(low.x), whole(low.y), whole(thickness), whole(std::abs(a.y - b.y)),
           colour);
    } else if (a.y == b.y) {
      fill(bitmap_, whole(low.x), whole(low.y), whole(std::abs(a.x - b.x)), whole(thickness),
           colour);
    } else {
      segment(a, b, thickness, colour);
    }
  }

  void dashes(double left, double right, double y) override {
    for (double x = left; x < right; x += 14) {
      fill(bitmap_, whole(x), whole(y), std::min(8, whole(right - x)), 2, gray);
    }
  }

  void joined(const std::vector<Spot>& spots) override {
    for (std::size_t k = 1; k < spots.size(); ++k) segment(spots[k - 1], spots[k], 2.5, black);
  }

  void marker(Marker kind, const Spot& spot, const Colour& colour, bool filled,
              const std::string&) override {
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

 private:
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

  io::Bitmap bitmap_;
};

}  // namespace

io::Bitmap draw(const ScatterChart& chart) {
  const auto layout = layout_of(
      chart,
      {.width = [](const std::string& text) { return text_width(text); }, .height = text_height});
  BitmapPen pen(layout);
  draw_scatter(chart, layout, pen);
  return pen.take();
}

}  // namespace l2c
