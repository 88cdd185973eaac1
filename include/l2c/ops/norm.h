// Layer normalisation and adaLN modulation.
#pragma once

#include "l2c/core/torch.h"

namespace l2c::ops {

struct Norm {
  double eps = 1e-6;
  at::Tensor weight;  // [D], or undefined: no affine part (DiT)
  at::Tensor bias;    // [D], or undefined
};

// x * (1 + scale) + shift, one shift and scale a sample. Undefined tensors: no modulation (U-ViT).
struct Modulation {
  at::Tensor shift;  // [N, D]
  at::Tensor scale;  // [N, D]
};

// LayerNorm over the last axis of x [N, T, D], then the modulation.
at::Tensor norm_modulate(const at::Tensor& x, const Norm& norm, const Modulation& modulation);

}  // namespace l2c::ops
