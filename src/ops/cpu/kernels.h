// The CPU kernels behind the operations: plain pointers, one table of functions an instruction set.
// Files that are compiled for more than the baseline's instructions (kernels_*.cpp) include nothing
// but this, their vector type and the kernel templates: an inline function of any other header
// could be the one copy that the linker keeps, and crash older processors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace l2c::ops::cpu {

struct Bf16 {
  std::uint16_t bits;
};

enum class Element { fp32, bf16 };
enum class Activation { none, gelu_tanh, gelu_erf };

// c = activation(a W^T + bias) * row_scale for rows of a. Accumulated in fp32, in an order that
// depends on k alone: a row's result does not depend on the rows beside it.
struct Product {
  const void* a = nullptr;  // [m, k] of `in`, rows a_stride elements apart
  std::int64_t a_stride = 0;
  const std::uint32_t* weights = nullptr;  // packed by Kernels::pack from [n, k]
  const float* bias = nullptr;             // [n], or null
  void* c = nullptr;                       // [m, n] of `out`, rows c_stride elements apart
  std::int64_t c_stride = 0;
  std::int64_t m = 0, k = 0, n = 0;
  Element in = Element::fp32;  // of a and of the weights
  Element out = Element::fp32;
  Activation activation = Activation::none;
  const float* row_scale = nullptr;  // [m], or null for 1
};

struct WeightedValue {
  const void* value = nullptr;  // [rows, d]
  Element element = Element::fp32;
  float weight = 1;
};

// One summand of a residual stream: tokens += gate * (weight_1 * value_1 + weight_2 * value_2 ...).
struct Summand {
  const WeightedValue* values = nullptr;
  std::size_t value_count = 0;
  const float* gate = nullptr;  // [samples, d], or null for 1
  std::int64_t gate_stride = 0;
};

// For every row: adds the summands to the tokens, and then, where there is an output,
// LayerNorm and the affine part (weight, bias) and x * (1 + scale) + shift, each where defined.
struct ResidualNorm {
  float* tokens = nullptr;  // [rows, d]; written to when there are summands
  const Summand* summands = nullptr;
  std::size_t summand_count = 0;
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
};

// softmax(Q K^T / sqrt(head_size)) V for heads of one or more samples.
struct Attention {
  const void* qkv = nullptr;  // [samples, tokens, 3, heads, head_size]
  void* out = nullptr;        // [samples, tokens, heads, head_size]
  Element element = Element::fp32;
  std::int64_t tokens = 0, heads = 0, head_size = 0;
};

struct Kernels {
  const char* name;
  // 32-bit words of a packed [n, k] matrix.
  std::size_t (*packed_words)(std::int64_t n, std::int64_t k, Element element);
  // Packs columns [first, last) of the product, which are these rows of the fp32 weight [n, k]:
  // `rows` points to the first of them, and they are contiguous. Rounds to `element`; first is a
  // multiple of column_block.
  void (*pack)(const float* rows, std::int64_t n, std::int64_t k, Element element,
               std::int64_t first_column, std::int64_t last_column, std::uint32_t* packed);
  // Columns [first, last) of the product; first is a multiple of column_block.
  void (*product)(const Product& product, std::int64_t first_column, std::int64_t last_column);
  // Rows [first, last).
  void (*residual_norm)(const ResidualNorm& norm, std::int64_t first_row, std::int64_t last_row);
  // Bytes of scratch memory that attention() needs, 64-byte aligned.
  std::size_t (*attention_scratch)(const Attention& attention);
  // Heads [first, last) of samples * heads.
  void (*attention)(const Attention& attention, std::int64_t first_head, std::int64_t last_head,
                    void* scratch);
  std::int64_t column_block;
  // Rows that a product works on at a time: multiples of it waste nothing.
  std::int64_t row_block_fp32, row_block_bf16;

  [[nodiscard]] std::int64_t row_block(Element element) const {
    return element == Element::fp32 ? row_block_fp32 : row_block_bf16;
  }
};

// Each in a file of its own, compiled for its instruction set.
extern const Kernels plain_kernels;
#if defined(__x86_64__)
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;
extern const Kernels avx512_bf16_kernels;
extern const Kernels amx_kernels;
#endif

// Those of cpu_isa().
const Kernels& kernels();

}  // namespace l2c::ops::cpu
