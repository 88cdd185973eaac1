// The two residual branches of a transformer block, without norm and gate.
#pragma once

#include "l2c/core/torch.h"
#include "l2c/ops/linear.h"

namespace l2c::ops {

// DiT has the tanh approximation, U-ViT the exact one by the error function.
enum class Gelu { tanh, erf };

// proj(self_attention(qkv(x))). x [N, T, D] -> [N, T, D] of the layers' type; a defined `out`
// (contiguous, same device; for packed layers fp32 or bf16, else the layers' type) receives the
// result and is returned. qkv [3 * D, D] and proj [D, D]; heads divides D. With packed layers a
// sample is done at a time where there are enough for all threads, so that its q, k and v stay in
// the core's cache; the bits are those of the three operations. Differentiable when the layers are
// plain; throws Error for packed layers while gradients are on.
at::Tensor attention_branch(const Linear& qkv, const Linear& proj, int heads, const at::Tensor& x,
                            at::Tensor out = {});

// fc2(gelu(fc1(x))), likewise; with packed layers some rows at a time where there are enough. fc1
// [H, D], fc2 [D, H].
at::Tensor mlp_branch(const Linear& fc1, const Linear& fc2, Gelu gelu, const at::Tensor& x,
                      at::Tensor out = {});

}  // namespace l2c::ops
