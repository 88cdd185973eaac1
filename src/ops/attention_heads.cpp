#include "attention_heads.h"

namespace l2c::ops {

Heads split_heads(const at::Tensor& qkv, int heads) {
  const auto width = qkv.size(2) / 3;
  const auto parts = qkv.reshape({qkv.size(0), qkv.size(1), 3, heads, width / heads})
                         .permute({2, 0, 3, 1, 4})
                         .unbind(0);
  return {parts[0], parts[1], parts[2]};
}

at::Tensor merge_heads(const at::Tensor& mixed) {
  return mixed.transpose(1, 2).reshape(
      {mixed.size(0), mixed.size(2), mixed.size(1) * mixed.size(3)});
}

}  // namespace l2c::ops
