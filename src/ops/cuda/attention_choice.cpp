#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdint>
#include <string>
#include <tuple>

#include "attention_heads.h"
#include "cuda/device.h"
#include "cuda/operations.h"
#include "fastest.h"
#include "l2c/core/log.h"

namespace l2c::ops::cuda {

namespace {

at::Tensor cudnn(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return std::get<0>(at::_scaled_dot_product_cudnn_attention(q, k, v, /*attn_bias=*/{},
                                                             /*compute_log_sumexp=*/false));
}

// Head sizes that are no multiple of 8 are refused here: LibTorch's own choice would pad them.
at::Tensor flash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return std::get<0>(at::_scaled_dot_product_flash_attention(q, k, v));
}

at::Tensor efficient(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return std::get<0>(at::_scaled_dot_product_efficient_attention(q, k, v, /*attn_bias=*/{},
                                                                 /*compute_log_sumexp=*/false));
}

at::Tensor libtorchs_choice(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return at::scaled_dot_product_attention(q, k, v);
}

// Device, type, samples, tokens, heads, head size.
using Key = std::array<std::int64_t, 6>;

Key key_of(const at::Tensor& q) {
  return {q.device().index(), static_cast<std::int64_t>(q.scalar_type()),
          q.size(0),          q.size(2),
          q.size(1),          q.size(3)};
}

// One memory for the process: equal calls are computed the same way, run after run.
Fastest<Key>& choices() {
  static Fastest<Key> instance;
  return instance;
}

std::size_t choose(const Heads& heads) {
  const auto& kernels = attention_kernels();
  const auto& [q, k, v] = heads;
  const Key key = key_of(q);
  if (is_capturing()) return choices().chosen(key).value_or(kernels.size() - 1);
  return choices().choose(key, kernels.size(), [&](std::size_t i) {
    const double ms = measure(q.device(), [&] { (void)kernels[i].run(q, k, v); });
    log::debug(
        fmt::format("attention [{}] by {}: {:.3f} ms", fmt::join(key, ", "), kernels[i].name, ms));
    return ms;
  });
}

}  // namespace

const std::vector<AttentionKernel>& attention_kernels() {
  static const std::vector<AttentionKernel> kernels = {{"cuDNN", cudnn},
                                                       {"flash", flash},
                                                       {"efficient", efficient},
                                                       {"LibTorch's choice", libtorchs_choice}};
  return kernels;
}

at::Tensor attention(const at::Tensor& qkv, int heads) {
  const Heads parts = split_heads(qkv, heads);
  const auto& [q, k, v] = parts;
  return merge_heads(attention_kernels()[choose(parts)].run(q, k, v));
}

}  // namespace l2c::ops::cuda
