// Dense layers.
#pragma once

#include "l2c/core/torch.h"

namespace l2c::ops {

// y = x W^T + b. Immutable after loading.
struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out], or undefined
};

// x [..., in] -> [..., out]. A defined `out` (contiguous, [..., out], x's dtype and device)
// receives the result and is returned; the bits are the same either way. Differentiable when `out`
// is undefined.
at::Tensor linear(const Linear& layer, const at::Tensor& x, at::Tensor out = {});

// gelu(linear(x)) with the tanh approximation of GELU (DiT).
at::Tensor linear_gelu_tanh(const Linear& layer, const at::Tensor& x);

}  // namespace l2c::ops
