#include "scatter_labels.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace l2c {

namespace {

constexpr double near_by = marker_radius + 5;
constexpr double unreadable = 600;  // the cost of two labels that touch

double common(double low, double high, double other_low, double other_high) {
  return std::max(0.0, std::min(high, other_high) - std::max(low, other_low));
}

double common_area(const Box& a, const Box& b) {
  return common(a.left, a.right, b.left, b.right) * common(a.top, a.bottom, b.top, b.bottom);
}

Box around(const Spot& spot, double radius) {
  return {.left = spot.x - radius,
          .top = spot.y - radius,
          .right = spot.x + radius,
          .bottom = spot.y + radius};
}

// The length of a line within a box, roughly: by points on it.
double within(const Box& box, const Spot& from, const Spot& to) {
  constexpr int samples = 40;
  const double length = std::hypot(to.x - from.x, to.y - from.y);
  int inside = 0;
  for (int k = 0; k <= samples; ++k) {
    const double x = from.x + (to.x - from.x) * k / samples;
    const double y = from.y + (to.y - from.y) * k / samples;
    inside += x > box.left && x < box.right && y > box.top && y < box.bottom ? 1 : 0;
  }
  return length * inside / samples;
}

class Placement {
 public:
  Placement(ScatterLayout& layout, const ScatterChart& chart, const TextSize& text)
      : layout_(layout), chart_(chart), text_(text) {}

  void operator()() {
    for (std::size_t k = 0; k < layout_.points.size(); ++k) {
      if (!layout_.points[k].text.empty()) place(k);
    }
  }

 private:
  void place(std::size_t number) {
    PlacedPoint& point = layout_.points[number];
    const double width = text_.width(point.text) + 4;
    double least = HUGE_VAL;
    for (const double distance : {near_by, 26.0, 44.0, 66.0, 92.0, 120.0, 155.0, 200.0, 250.0}) {
      for (int direction = 0; direction < 16; ++direction) {
        const double angle = direction * 3.14159265358979 / 8;
        const Box box = beside(point.spot, distance, angle, width);
        const double cost = cost_of(box, point.spot) + 2 * distance;
        if (cost >= least) continue;
        least = cost;
        point.box = box;
        point.leader.reset();
        if (distance > near_by) point.leader = nearest(box, point.spot);
      }
    }
    placed_.push_back(number);
  }

  // The box that touches a circle around the spot from outside.
  [[nodiscard]] Box beside(const Spot& spot, double distance, double angle, double width) const {
    const double across = std::cos(angle);
    const double down = std::sin(angle);
    const double x = spot.x + distance * across + (across - 1) / 2 * width;
    const double y = spot.y + distance * down + (down - 1) / 2 * text_.height;
    return {.left = x, .top = y, .right = x + width, .bottom = y + text_.height};
  }

  static Spot nearest(const Box& box, const Spot& spot) {
    return {.x = std::clamp(spot.x, box.left, box.right),
            .y = std::clamp(spot.y, box.top, box.bottom)};
  }

  [[nodiscard]] double cost_of(const Box& box, const Spot& spot) const {
    const double area = (box.right - box.left) * (box.bottom - box.top);
    double cost = 20 * (area - common_area(box, layout_.plot));
    for (const auto& other : layout_.points) {
      cost += 4 * common_area(box, around(other.spot, marker_radius + 2));
      if (other.low != other.high) {
        cost += 4 * within(box, {other.spot.x, other.high}, {other.spot.x, other.low});
      }
    }
    const Spot end = nearest(box, spot);
    for (const auto number : placed_) {
      const PlacedPoint& other = layout_.points[number];
      const double covered = common_area(box, other.box);
      if (covered > 0) cost += unreadable;
      cost += 10 * covered + 10 * within(other.box, spot, end);
      if (other.leader) cost += 10 * within(box, other.spot, *other.leader);
    }
    for (std::size_t k = 1; k < chart_.line.size(); ++k) {
      cost += 3 * within(box, layout_.points[chart_.line[k - 1]].spot,
                         layout_.points[chart_.line[k]].spot);
    }
    if (layout_.level) {
      cost +=
          within(box, {layout_.plot.left, *layout_.level}, {layout_.plot.right, *layout_.level});
    }
    return cost;
  }

  ScatterLayout& layout_;
  const ScatterChart& chart_;
  const TextSize& text_;
  std::vector<std::size_t> placed_;
};

}  // namespace

void place_labels(ScatterLayout& layout, const ScatterChart& chart, const TextSize& text) {
  Placement(layout, chart, text)();
}

}  // namespace l2c
