// What the operations on tensors share.
#pragma once

#include <algorithm>

#include "cpu/kernels.h"
#include "cpu/pool.h"
#include "cpu/timed.h"
#include "l2c/ops/linear.h"

namespace l2c::ops::cpu {

inline Element element(at::ScalarType type) {
  return type == at::kFloat ? Element::fp32 : Element::bf16;
}

inline std::int64_t bytes_of(Element element) { return element == Element::fp32 ? 4 : 2; }

inline const float* floats(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

// Rows that are worth another thread, given the arithmetic of one.
inline std::int64_t grain(std::int64_t operations_per_row) {
  constexpr std::int64_t worth_a_thread = 1 << 18;
  return std::max<std::int64_t>(1, worth_a_thread / std::max<std::int64_t>(1, operations_per_row));
}

// Pieces [first, last) of n, each but the last a multiple of `block`.
void in_blocks(std::int64_t n, std::int64_t block, std::int64_t grain, Work work);

// The product of a packed layer: a and c remain to be set.
Product product_of(const Linear& layer, std::int64_t rows, Element out, Activation activation);

// The same, of the rows from `first` on.
Product rows_of(const Product& product, std::int64_t first, std::int64_t last);

// On all threads; timed as `operation`.
void multiply(const Product& product, Operation operation);

}  // namespace l2c::ops::cpu
