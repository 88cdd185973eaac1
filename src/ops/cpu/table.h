// The table of one vector type. Included by kernels_*.cpp alone.
#pragma once

#include "attention_kernels.h"
#include "kernels.h"
#include "norm_kernels.h"
#include "product_kernels.h"

namespace l2c::ops::cpu {

template <class V>
constexpr Kernels table(const char* name) {
  return {.name = name,
          .packed_words = &packed_words<V>,
          .pack = &pack<V>,
          .product = &multiply<V>,
          .residual_norm = &residual_norm<V>,
          .attention_scratch = &attention_scratch<V>,
          .attention = &attention<V>,
          .column_block = panel_columns<V, float>,
          .row_block_fp32 = V::template row_block<float>,
          .row_block_bf16 = V::template row_block<Bf16>};
}

}  // namespace l2c::ops::cpu
