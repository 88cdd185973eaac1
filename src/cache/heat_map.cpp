#include "l2c/cache/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "l2c/core/error.h"

namespace l2c {

namespace {

using Colour = std::array<std::uint8_t, 3>;

constexpr int cell = 12;
constexpr int gap = 1;
constexpr int block_gap = 3;  // after each block
constexpr int margin = 6;
constexpr int inset = 4;  // of the square inside a reused cell

constexpr Colour background{255, 255, 255};
constexpr Colour full{224, 224, 224};
constexpr Colour computed_low{255, 214, 165};
constexpr Colour computed_high{214, 76, 0};
constexpr Colour reused{38, 52, 71};
constexpr Colour reused_high{140, 176, 222};

Colour between(const Colour& a, const Colour& b, double share) {
  Colour mixed{};
  const double part = std::clamp(share, 0.0, 1.0);
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    mixed[i] = static_cast<std::uint8_t>(std::lround(a[i] + part * (b[i] - a[i])));
  }
  return mixed;
}

void fill(io::Bitmap& bitmap, int top, int left, int size, const Colour& colour) {
  for (int row = top; row < top + size; ++row) {
    for (int column = left; column < left + size; ++column) {
      std::copy(colour.begin(), colour.end(), bitmap.at(row, column));
    }
  }
}

int left_of(int unit) { return margin + unit * (cell + gap) + unit / 2 * block_gap; }

void draw_cell(io::Bitmap& bitmap, int top, int left, bool computes, double score,
               double threshold) {
  if (computes) {
    const double share = threshold < 1 ? (score - threshold) / (1 - threshold) : 1;
    fill(bitmap, top, left, cell, between(computed_low, computed_high, share));
    return;
  }
  fill(bitmap, top, left, cell, reused);
  const double share = threshold > 0 ? score / threshold : 1;
  fill(bitmap, top + inset, left + inset, cell - 2 * inset, between(reused, reused_high, share));
}

io::Bitmap blank(int units, int rows) {
  io::Bitmap bitmap{.width = left_of(units - 1) + cell + margin,
                    .height = 2 * margin + rows * (cell + gap) - gap,
                    .channels = 3,
                    .pixels = {}};
  bitmap.pixels.assign(static_cast<std::size_t>(bitmap.width) *
                           static_cast<std::size_t>(bitmap.height) * background.size(),
                       background[0]);
  return bitmap;
}

}  // namespace

io::Bitmap draw_router(const LearnedRouter& learned, const RunShape& shape) {
  const Router& router = learned.router();
  const CachePlan plan = learned.plan(shape).value();
  io::Bitmap bitmap = blank(router.units(), router.rows());
  for (int k = 0; k < plan.evaluations(); ++k) {
    const int row = shape.evaluations[static_cast<std::size_t>(k)].row;
    const int top = margin + k * (cell + gap);
    for (int unit = 0; unit < router.units(); ++unit) {
      if (plan.cache_step(k)) {
        draw_cell(bitmap, top, left_of(unit), plan.computes(k, unit), router.score(row, unit),
                  learned.threshold());
      } else {
        fill(bitmap, top, left_of(unit), cell, full);
      }
    }
  }
  return bitmap;
}

io::Bitmap draw_plan(const CachePlan& plan) {
  if (plan.evaluations() < 1) throw InputError("a plan without evaluations cannot be drawn");
  io::Bitmap bitmap = blank(plan.units(), plan.evaluations());
  for (int k = 0; k < plan.evaluations(); ++k) {
    for (int unit = 0; unit < plan.units(); ++unit) {
      const Colour& colour = !plan.computes(k, unit) ? reused
                             : plan.cache_step(k)    ? computed_high
                                                     : full;
      fill(bitmap, margin + k * (cell + gap), left_of(unit), cell, colour);
    }
  }
  return bitmap;
}

}  // namespace l2c
