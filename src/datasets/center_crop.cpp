#include "center_crop.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "resample.h"

namespace l2c {

namespace {

Axis half(int side) { return {.from = side, .to = side / 2, .first = 0, .count = side / 2}; }

// The middle `size` pixels of the scaled side. Halves are rounded to the even number, as Python's
// round() does.
Axis middle(int side, double scale, int size) {
  const auto to = static_cast<std::int64_t>(std::nearbyint(side * scale));
  return {.from = side, .to = to, .first = (to - size) / 2, .count = size};
}

}  // namespace

io::Bitmap center_crop(io::Bitmap image, int size) {
  while (std::min(image.width, image.height) / 2 >= size) {
    image = resample(image, half(image.width), half(image.height), Filter::box);
  }
  const double scale = static_cast<double>(size) / std::min(image.width, image.height);
  return resample(image, middle(image.width, scale, size), middle(image.height, scale, size),
                  Filter::bicubic);
}

}  // namespace l2c
