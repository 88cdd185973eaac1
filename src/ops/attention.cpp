#include "l2c/ops/attention.h"

#include <ATen/autocast_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "cpu/operations.h"
#include "cuda/operations.h"

namespace l2c::ops {

namespace {

at::Tensor attention(const at::Tensor& qkv, int heads) {
  const auto rows = qkv.size(0);
  const auto tokens = qkv.size(1);
  const auto width = qkv.size(2) / 3;
  const auto split =
      qkv.reshape({rows, tokens, 3, heads, width / heads}).permute({2, 0, 3, 1, 4}).unbind(0);
  const auto mixed = at::scaled_dot_product_attention(split[0], split[1], split[2]);
  return mixed.transpose(1, 2).reshape({rows, tokens, width});
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
