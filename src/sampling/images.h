// From samples to pictures.
#pragma once

#include "l2c/core/torch.h"
#include "l2c/io/png.h"

namespace l2c {

// True for 1 or 3 channels: the sample is the picture, in [-1, 1].
bool are_pixels(std::int64_t channels);

// sample [C, H, W] fp32. Pixels: 127.5 x + 128, cut to 0 ... 255 (as the official sample_ddp.py).
// Latents: a false-colour preview of the first three channels (the first one alone when there are
// two), from the image's smallest to its largest value.
io::Bitmap to_bitmap(const at::Tensor& sample);

}  // namespace l2c
