// Dense layers.
#pragma once

#include <optional>

#include "l2c/core/torch.h"

namespace l2c::ops {

// A weight in the layout of this process's CPU kernels, rounded to fp32 or bf16.
struct PackedWeight {
  std::int64_t in = 0, out = 0;
  at::ScalarType dtype = at::kFloat;
  at::Tensor words{};  // int32
};

// y = x W^T + b. Immutable after loading. Plain (weight defined) or prepared for speed (packed).
struct Linear {
  at::Tensor weight;                     // [out, in]; undefined when packed
  at::Tensor bias;                       // [out], or undefined; fp32 when packed
  std::optional<PackedWeight> packed{};  // CPU only; cannot be differentiated
};

// The layer for inference with products in `dtype` (fp32 or bf16; sums are fp32 either way): packed
// on the CPU, a plain weight of that type elsewhere. The original is left as it is. Throws Error on
// other types.
Linear prepared(const Linear& layer, at::ScalarType dtype);

// x [..., in] -> [..., out], in the layer's type; x is rounded to it. A defined `out` (contiguous,
// [..., out], same device; for packed layers fp32 or bf16, else the layer's type) receives the
// result and is returned; the bits are the same either way where the type is. A row's result does
// not depend on the rows beside it when the layer is packed. Differentiable when `out` is undefined
// and the layer is plain; throws Error for a packed layer while gradients are on.
at::Tensor linear(const Linear& layer, const at::Tensor& x, at::Tensor out = {});

// The type that the layer's products are made in.
at::ScalarType dtype(const Linear& layer);

// As linear(), but an fp32 result whatever the layer's type.
at::Tensor linear_to_fp32(const Linear& layer, const at::Tensor& x);

// gelu(linear(x)): the tanh approximation (DiT), and the exact one by the error function (U-ViT).
at::Tensor linear_gelu_tanh(const Linear& layer, const at::Tensor& x);
at::Tensor linear_gelu_erf(const Linear& layer, const at::Tensor& x);

}  // namespace l2c::ops
