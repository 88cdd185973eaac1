// Image files of several formats behind one face.
#pragma once

#include <filesystem>

#include "l2c/io/png.h"

namespace l2c::io {

// Reads a PNG or JPEG file, told apart by content, not by name. PNG as read_png does. JPEG: gray,
// RGB and YCbCr, baseline or progressive; an orientation in its EXIF data is not applied (as in
// Pillow). Throws InputError naming the file: neither format, damaged or truncated, CMYK (with what
// to do), more than most_png_pixels. Thread-safe.
Bitmap read_image(const std::filesystem::path& path);

// The image in 1 (gray) or 3 (RGB) channels. Gray is the luma of ITU-R 601, 0.299 R + 0.587 G +
// 0.114 B, rounded as Pillow's convert("L") does. Throws InputError for other numbers of channels.
Bitmap with_channels(const Bitmap& bitmap, int channels);

}  // namespace l2c::io
