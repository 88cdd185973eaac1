// Images brought to one size.
#pragma once

#include "l2c/io/png.h"

namespace l2c {

// The middle of the image as size x size pixels, the way of ADM that DiT's train.py takes over: the
// image is halved with a box filter while its short side is at least twice `size`, its short side
// then scaled to `size` with a bicubic filter, and the rest of the long side cut away evenly.
// Filters and rounding are Pillow's. `size` is 1 or more, the image not empty.
io::Bitmap center_crop(io::Bitmap image, int size);

}  // namespace l2c
