// Multi-head self-attention.
#pragma once

#include "l2c/core/torch.h"

namespace l2c::ops {

// softmax(Q K^T / sqrt(head width)) V. qkv [N, T, 3 * D], laid out (3, heads, head width) along the
// last axis as timm's and DiT's fused projection does; the result is [N, T, D].
// Under LibTorch's autocast on the CPU it is computed in fp32, whatever qkv is.
at::Tensor self_attention(const at::Tensor& qkv, int heads);

}  // namespace l2c::ops
