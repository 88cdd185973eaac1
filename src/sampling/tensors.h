// Between plain latents and tensors.
#pragma once

#include "l2c/core/torch.h"
#include "l2c/sampling/latents.h"

namespace l2c {

// [N, C, H, W] fp32 on the CPU, a copy. Throws InputError when shape and values disagree.
at::Tensor to_tensor(const Latents& latents);
// From a tensor of rank 4, any device and floating type.
Latents to_latents(const at::Tensor& tensor);

}  // namespace l2c
