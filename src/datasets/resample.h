// Images scaled as Pillow's Image.resize() does.
#pragma once

#include <cstdint>

#include "l2c/io/png.h"

namespace l2c {

enum class Filter { box, bicubic };

// One direction of an image: `from` pixels become `to`, of which `count` from `first` on are
// wanted.
struct Axis {
  int from = 1;
  std::int64_t to = 1;
  std::int64_t first = 0;
  int count = 1;
};

// The wanted part of the scaled image. The filter is stretched where the image shrinks, so that
// every pixel counts (antialiasing). First along the rows, then along the columns, each rounded to
// 8 bits; weights in fixed point. After Pillow's documentation of its filters and of the
// convolution they are used in:
// https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters x.from and y.from are the
// image's width and height; no side is empty.
io::Bitmap resample(const io::Bitmap& image, const Axis& x, const Axis& y, Filter filter);

}  // namespace l2c
