// Many pictures in one. No LibTorch header behind it.
#pragma once

#include <vector>

#include "l2c/io/png.h"
#include "l2c/sampling/request.h"

namespace l2c {

// The images in rows of `columns`, in order, with a margin between them; the last row may be short.
// Gray unless one of them is RGB. Throws InputError when there are none, when sizes differ, or for
// columns < 1.
io::Bitmap contact_sheet(const std::vector<Image>& images, int columns);

// One sheet above the other, with a wider margin between them. Throws InputError when their widths
// or channels differ.
io::Bitmap stack(const io::Bitmap& above, const io::Bitmap& below);

}  // namespace l2c
