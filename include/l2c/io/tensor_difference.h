// How two files' tensors differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"

namespace l2c::io {

// Between the numbers of two tensors of one shape. Complex numbers count as two.
struct TensorDifference {
  double largest = 0;           // |a - b| where both are finite
  double relative = 0;          // the same by the largest finite |a| or |b|: 0 to 2
  std::int64_t differing = 0;   // numbers that are not equal
  std::int64_t not_finite = 0;  // of these, where a or b is NaN or infinite (NaN equals NaN)
};

// Compared in fp64, a piece at a time. Throws Error for unlike shapes, or complex and real numbers.
TensorDifference difference(const at::Tensor& a, const at::Tensor& b);

struct TensorComparison {
  // same: type, shape and every bit. first, second: only there.
  enum class State { same, values, type, shape, first, second };

  std::string name{};
  State state = State::same;
  at::Tensor a{}, b{};  // undefined where there is none
  // Where the shapes are the same and both are real or both complex.
  std::optional<TensorDifference> difference{};
};

// Every name of either, what differs first: missing ones, other shapes, other types, then by the
// largest difference; within these, and those that are the same, by name. Shares the tensors.
std::vector<TensorComparison> compare_tensors(const TensorMap& a, const TensorMap& b);

}  // namespace l2c::io
