// Queries, keys and values by heads.
#pragma once

#include <array>

#include "l2c/core/torch.h"

namespace l2c::ops {

// q, k, v [N, heads, T, head size].
using Heads = std::array<at::Tensor, 3>;

// qkv [N, T, 3 * D], views of it where it is contiguous.
Heads split_heads(const at::Tensor& qkv, int heads);

// [N, heads, T, head size] -> [N, T, D].
at::Tensor merge_heads(const at::Tensor& mixed);

}  // namespace l2c::ops
