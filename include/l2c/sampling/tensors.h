// Between plain latents and tensors, for requests and results that stay in memory.
#pragma once

#include "l2c/core/torch.h"
#include "l2c/io/png.h"
#include "l2c/sampling/latents.h"

namespace l2c {

// [N, C, H, W] fp32 on the CPU, a copy. Throws InputError when shape and values disagree.
// Thread-safe, as all of them.
at::Tensor to_tensor(const Latents& latents);
// From a floating-point tensor of rank 4 on any device, a copy. Throws InputError for others.
Latents to_latents(const at::Tensor& tensor);
// [height, width, channels] of bytes on the CPU, a copy. Throws InputError when size and pixels
// disagree.
at::Tensor to_tensor(const io::Bitmap& bitmap);

}  // namespace l2c
