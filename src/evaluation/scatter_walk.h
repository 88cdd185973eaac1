// What a scatter chart consists of, for both ways of drawing it.
#pragma once

#include <string>
#include <vector>

#include "bitmap_text.h"
#include "l2c/evaluation/scatter_chart.h"
#include "scatter_layout.h"

namespace l2c {

enum class Anchor { left, middle, right };

// Draws single things, in pixels from the upper left corner; later ones lie on earlier ones.
class ScatterPen {
 public:
  virtual ~ScatterPen() = default;
  // `at`: the upper left corner of the words, the middle of their upper edge, or the upper right
  // corner.
  virtual void text(const Spot& at, const std::string& words, Anchor anchor = Anchor::left) = 0;
  virtual void title(const Spot& at, const std::string& words) = 0;
  virtual void line(const Spot& a, const Spot& b, double thickness, const Colour& colour) = 0;
  virtual void dashes(double left, double right, double y) = 0;
  // One line through two spots or more.
  virtual void joined(const std::vector<Spot>& spots) = 0;
  // `note`: shown while the mouse rests on it, where that can be.
  virtual void marker(Marker kind, const Spot& spot, const Colour& colour, bool filled,
                      const std::string& note) = 0;
};

// Everything but the white sheet.
void draw_scatter(const ScatterChart& chart, const ScatterLayout& layout, ScatterPen& pen);

}  // namespace l2c
