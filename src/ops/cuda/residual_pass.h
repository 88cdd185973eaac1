// What the residual stream's CUDA kernel is told: plain data, handed over by value. Read by nvcc,
// too, as C++17.
#pragma once

#include <cstddef>
#include <cstdint>

namespace l2c::ops::cuda {

enum class Element : std::int32_t { fp32, bf16 };

// tokens += weight * gate * value.
struct Summand {
  const void* value = nullptr;  // [rows, d]
  const float* gate = nullptr;  // [samples, d], or null for 1
  std::int64_t gate_stride = 0;
  float weight = 1;
  Element element = Element::fp32;
};

// All branches of DiT-XL (56) in one pass; more take a second one.
inline constexpr int most_summands = 64;
// A row is kept in shared memory, of which every device has 48 KiB a block.
inline constexpr std::int64_t most_width = 8192;

// For every row: adds the summands to the tokens, and then, where there is an output, LayerNorm and
// the affine part (weight, bias) and x * (1 + scale) + shift, each where defined.
struct ResidualPass {
  float* tokens = nullptr;  // [rows, d]; written to when there are summands
  std::int64_t rows = 0;
  std::int64_t d = 0;
  std::int64_t rows_per_sample = 1;  // of gates, shifts and scales
  void* out = nullptr;               // [rows, d], or null: only the sum
  Element out_element = Element::fp32;
  float eps = 0;
  const float* weight = nullptr;  // [d]
  const float* bias = nullptr;    // [d]
  const float* shift = nullptr;   // [samples, d]; with scale or not at all
  const float* scale = nullptr;
  std::int64_t modulation_stride = 0;
  std::int32_t summand_count = 0;
  Summand summands[most_summands];
};

// What CUDA allows a kernel's parameters on every architecture.
static_assert(sizeof(ResidualPass) <= 4096);

// How the kernel is started: one block a row.
struct Launch {
  int threads = 0;        // a multiple of 32
  bool in_fours = false;  // whether four elements may be read and written at once
  std::size_t shared_bytes = 0;
};

}  // namespace l2c::ops::cuda
