// The CUDA kernels on tensors. Callers have checked usable(), which is false for other devices,
// while gradients are on, under autocast, and in builds without CUDA.
#pragma once

#include <vector>

#include "cuda/passes.h"
#include "l2c/ops/linear.h"

namespace l2c::ops::cuda {

// Adds what is pending to tokens [N, T, D] (fp32, contiguous), and gives their norm in `dtype`.
bool usable(const at::Tensor& tokens, const Pending& pending);
bool usable(const at::Tensor& tokens, const Pending& pending, const Norm& norm,
            const Modulation& modulation, at::ScalarType dtype);
void add(at::Tensor& tokens, const Pending& pending);
at::Tensor add_and_norm(at::Tensor& tokens, const Pending& pending, const Norm& norm,
                        const Modulation& modulation, at::ScalarType dtype);

// gelu(x W^T + b), by the tanh approximation, in the product's epilogue. x [rows, in] of the
// weight's type.
bool usable_for_gelu_tanh(const Linear& layer, const at::Tensor& x);
at::Tensor linear_gelu_tanh(const Linear& layer, const at::Tensor& x);

// qkv [N, T, 3 * D] -> [N, T, D]: the fastest of LibTorch's attention kernels that can do it, found
// by measuring at the first call for a shape, type and device.
bool usable(const at::Tensor& qkv);
at::Tensor attention(const at::Tensor& qkv, int heads);

// A way to compute attention from q, k and v [N, heads, T, head size].
struct AttentionKernel {
  const char* name;
  at::Tensor (*run)(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
};
// The ways that attention() chooses from; the last one can do everything.
const std::vector<AttentionKernel>& attention_kernels();

}  // namespace l2c::ops::cuda
