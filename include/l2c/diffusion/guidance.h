// Classifier-free guidance as DiT does it.
#pragma once

#include "l2c/core/torch.h"

namespace l2c {

// model_output [2N, C', H, W]: N conditional rows, then the same N with the null label. Returns
// [N, C', H, W]: the first `channels` channels are uncond + scale * (cond - uncond), the others
// (among them the variance) the conditional row's. Reference: forward_with_cfg in DiT's models.py,
// whose official numbers use channels = min(3, in_channels).
at::Tensor guide(const at::Tensor& model_output, double scale, int channels);

}  // namespace l2c
