#include "l2c/ops/attention.h"

#include <ATen/autocast_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "attention_heads.h"
#include "cpu/operations.h"
#include "cuda/operations.h"

namespace l2c::ops {

namespace {

at::Tensor attention(const at::Tensor& qkv, int heads) {
  const auto [q, k, v] = split_heads(qkv, heads);
  return merge_heads(at::scaled_dot_product_attention(q, k, v));
}

}  // namespace

at::Tensor self_attention(const at::Tensor& qkv, int heads) {
  if (cuda::usable(qkv)) return cuda::attention(qkv, heads);
  if (!qkv.is_cpu() || !at::autocast::is_autocast_enabled(at::kCPU)) {
    return cpu::usable(qkv) ? cpu::attention(qkv, heads) : attention(qkv, heads);
  }
  // LibTorch's bf16 attention is slower than its fp32 one on the CPU, its backward pass four times
  // (shared/prototypes/README.md). So autocast, which would choose it, is off for this operation.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(
      at::autocast::get_autocast_dispatch_key_from_device_type(at::kCPU));
  return attention(qkv.to(at::kFloat), heads);
}

}  // namespace l2c::ops
