#include "cuda/operations.h"

#include <ATen/autocast_mode.h>

#include "cuda/device.h"

namespace l2c::ops::cuda {

namespace {

bool on_gpu_for_inference(const at::Tensor& tensor) {
  return tensor.is_cuda() && !at::GradMode::is_enabled() &&
         !at::autocast::is_autocast_enabled(at::kCUDA);
}

}  // namespace

bool usable(const at::Tensor& tokens, const Pending& pending) {
  return on_gpu_for_inference(tokens) && fits(tokens, pending);
}

bool usable(const at::Tensor& tokens, const Pending& pending, const Norm& norm,
            const Modulation& modulation, at::ScalarType dtype) {
  return usable(tokens, pending) && fits(tokens, norm, modulation) &&
         (dtype == at::kFloat || dtype == at::kBFloat16);
}

void add(at::Tensor& tokens, const Pending& pending) {
  run(passes(tokens, pending), tokens.device());
}

at::Tensor add_and_norm(at::Tensor& tokens, const Pending& pending, const Norm& norm,
                        const Modulation& modulation, at::ScalarType dtype) {
  at::Tensor out = at::empty(tokens.sizes(), tokens.options().dtype(dtype));
  run(passes(tokens, pending, norm, modulation, out), tokens.device());
  return out;
}

bool usable_for_gelu_tanh(const Linear& layer, const at::Tensor& x) {
  return on_gpu_for_inference(x) && layer.weight.defined() && layer.bias.defined();
}

// On CUDA, LibTorch's use_gelu is the tanh approximation, and cublasLt's epilogue where that can
// do it; on the CPU it would be the exact GELU.
at::Tensor linear_gelu_tanh(const Linear& layer, const at::Tensor& x) {
  return at::_addmm_activation(layer.bias, x, layer.weight.t(), 1, 1, /*use_gelu=*/true);
}

bool usable(const at::Tensor& qkv) {
  return on_gpu_for_inference(qkv) && qkv.dim() == 3 && qkv.numel() > 0;
}

}  // namespace l2c::ops::cuda
