#include "l2c/ops/attention.h"

namespace l2c::ops {

at::Tensor self_attention(const at::Tensor& qkv, int heads) {
  const auto rows = qkv.size(0);
  const auto tokens = qkv.size(1);
  const auto width = qkv.size(2) / 3;
  const auto split = qkv.reshape({rows, tokens, 3, heads, width / heads}).permute({2, 0, 3, 1, 4});
  const auto mixed =
      at::scaled_dot_product_attention(split.select(0, 0), split.select(0, 1), split.select(0, 2));
  return mixed.transpose(1, 2).reshape({rows, tokens, width});
}

}  // namespace l2c::ops
