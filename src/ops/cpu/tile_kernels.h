// Products of bf16 on the matrix unit (AMX). Templates on a type of internal linkage: see
// kernels.h.
//
// A block of the result, 32 x 32, lies in four tiles for the whole of k; two more hold 16 rows each
// of a, two 16 columns each of the weights, which are packed as the unit reads them. The block's
// way out (activation, rounding) is the vector unit's work and is done a few vectors at a time
// between the next block's instructions, so that the two units work side by side.
#pragma once

#include <immintrin.h>

#include "kernels.h"
#include "math_kernels.h"
#include "product_kernels.h"

namespace l2c::ops::cpu {
namespace {

constexpr std::int64_t unit_rows = 16;              // rows of a tile, and columns of 32 bits
constexpr std::int64_t block_rows = 2 * unit_rows;  // rows and columns of a result's block
constexpr std::int64_t tile_k = 2 * unit_rows;      // bf16 values in a tile's row
constexpr std::int64_t group_bytes = 1 << 19;       // weights that stay in the second cache

// The unit's registers of shape, in the layout that the processor reads.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// The shapes for blocks of `rows` rows; tiles 0 to 3: sums, 4 and 5: a, 6 and 7: weights. They
// belong to the thread.
class Shapes {
 public:
  Shapes() = default;
  Shapes(const Shapes&) = delete;
  Shapes& operator=(const Shapes&) = delete;
  ~Shapes() { _tile_release(); }

  void set(std::int64_t rows) {
    if (rows == rows_) return;
    rows_ = rows;
    TileShapes shapes;
    const std::int64_t upper = rows < unit_rows ? rows : unit_rows;
    for (int i = 0; i < 6; ++i) {
      const bool is_upper = i == 0 || i == 1 || i == 4;
      put(shapes, i, is_upper ? upper : rows - upper);
    }
    put(shapes, 6, unit_rows);
    put(shapes, 7, unit_rows);
    asm volatile("" ::: "memory");
    _tile_loadconfig(&shapes);
  }

 private:
  static void put(TileShapes& shapes, int index, std::int64_t rows) {
    shapes.rows[index] = static_cast<std::uint8_t>(rows);
    shapes.row_bytes[index] = rows > 0 ? 64 : 0;
  }
  std::int64_t rows_ = 0;
};

// The last k % 32 values of a block's rows, with zeros behind them: what lies there in memory
// belongs to somebody else.
class Tail {
 public:
  void fill(const Product& product, std::int64_t row, std::int64_t rows) {
    const std::int64_t first = product.k / tile_k * tile_k;
    for (std::int64_t r = 0; r < rows; ++r) {
      const Bf16* const a = static_cast<const Bf16*>(product.a) + (row + r) * product.a_stride;
      const auto there = static_cast<__mmask32>((std::uint64_t{1} << (product.k - first)) - 1);
      _mm512_store_si512(values_ + r * tile_k, _mm512_maskz_loadu_epi16(there, a + first));
    }
    // The tile instructions' operands are not visible to the compiler.
    asm volatile("" ::: "memory");
  }
  [[nodiscard]] const Bf16* values() const { return values_; }

 private:
  alignas(64) Bf16 values_[block_rows * tile_k];
};

// A finished block on its way to the product's output.
struct Leaving {
  const float* sums = nullptr;  // [rows][block]
  const float* row_scale = nullptr;
  char* out = nullptr;      // of the block's first value
  std::int64_t stride = 0;  // of out, in bytes
  std::int64_t columns = 0;
  int rows = 0;
};

template <class V, class Out, Activation activation>
__attribute__((always_inline)) inline void leave_row(Leaving& l) {
  Out* const out = reinterpret_cast<Out*>(l.out);
  const auto value = [&](const float* sums) __attribute__((always_inline)) {
    const auto x = activated<V, Out>(V::load(sums), activation);
    return l.row_scale == nullptr ? x : V::mul(x, V::set(*l.row_scale));
  };
  if (l.columns == block_rows) {
    const auto left = value(l.sums);
    const auto right = value(l.sums + unit_rows);
    V::store(out, left);
    V::store(out + unit_rows, right);
  } else {
    store_columns<V>(out, value(l.sums), l.columns);
    if (l.columns > unit_rows)
      store_columns<V>(out + unit_rows, value(l.sums + unit_rows), l.columns - unit_rows);
  }
  l.sums += block_rows;
  l.out += l.stride;
  if (l.row_scale != nullptr) ++l.row_scale;
  --l.rows;
}

// What a block's sums are made of.
struct Operands {
  const Bf16* a;
  std::int64_t a_stride;  // bytes
  const Bf16* tail;       // or null
  std::int64_t steps;     // of tile_k, without the tail
  const std::uint32_t* weights;
  const float* bias;  // [columns, in whole tiles], or null
};

// One step: 32 values of k.
template <int Rows, int Columns>
__attribute__((always_inline)) inline void step(const Bf16* a, std::int64_t a_stride,
                                                const std::uint32_t* weights) {
  constexpr std::int64_t w_stride = Columns * unit_rows * 4;
  const auto* const upper = reinterpret_cast<const char*>(a);
  _tile_loadd(6, weights, w_stride);
  _tile_loadd(4, upper, a_stride);
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (Columns == 2) {
    _tile_loadd(7, weights + unit_rows, w_stride);
    _tile_dpbf16ps(1, 4, 7);
  }
  if constexpr (Rows == 2) {
    _tile_loadd(5, upper + unit_rows * a_stride, a_stride);
    _tile_dpbf16ps(2, 5, 6);
    if constexpr (Columns == 2) _tile_dpbf16ps(3, 5, 7);
  }
}

template <int Rows, int Columns>
void start_sums(const float* bias) {
  if (bias != nullptr) {  // the same row again and again
    _tile_loadd(0, bias, 0);
    if constexpr (Columns == 2) _tile_loadd(1, bias + unit_rows, 0);
    if constexpr (Rows == 2) _tile_loadd(2, bias, 0);
    if constexpr (Rows == 2 && Columns == 2) _tile_loadd(3, bias + unit_rows, 0);
  } else {
    _tile_zero(0);
    if constexpr (Columns == 2) _tile_zero(1);
    if constexpr (Rows == 2) _tile_zero(2);
    if constexpr (Rows == 2 && Columns == 2) _tile_zero(3);
  }
}

// To rows `stride` values apart.
template <int Rows, int Columns>
void store_sums(float* sums, std::int64_t stride) {
  _tile_stored(0, sums, stride * 4);
  if constexpr (Columns == 2) _tile_stored(1, sums + unit_rows, stride * 4);
  if constexpr (Rows == 2) _tile_stored(2, sums + unit_rows * stride, stride * 4);
  if constexpr (Rows == 2 && Columns == 2) {
    _tile_stored(3, sums + unit_rows * stride + unit_rows, stride * 4);
  }
}

// The sums of one block, while the block before leaves.
template <class V, class Out, Activation activation, int Rows, int Columns>
void sum_block(const Operands& operands, Leaving leaving, float* sums, std::int64_t stride) {
  constexpr std::int64_t step_words = unit_rows * Columns * unit_rows;
  const int steps = static_cast<int>(operands.steps) + (operands.tail != nullptr ? 1 : 0);
  const int pace = (leaving.rows + steps - 1) / steps;
  const auto leave = [&]() __attribute__((always_inline)) {
    for (int i = leaving.rows < pace ? leaving.rows : pace; i > 0; --i) {
      leave_row<V, Out, activation>(leaving);
    }
  };
  start_sums<Rows, Columns>(operands.bias);
  const std::uint32_t* weights = operands.weights;
  const Bf16* a = operands.a;
  for (std::int64_t i = operands.steps; i > 0; --i) {
    step<Rows, Columns>(a, operands.a_stride, weights);
    leave();
    weights += step_words;
    a += tile_k;
  }
  if (operands.tail != nullptr) {
    step<Rows, Columns>(operands.tail, tile_k * 2, weights);
    leave();
  }
  store_sums<Rows, Columns>(sums, stride);
}

using SumBlock = void (*)(const Operands&, Leaving, float* sums, std::int64_t stride);

// By whether rows, and then columns, fill more than one tile.
struct SumBlocks {
  SumBlock of[2][2];
};

template <class V, class Out, Activation activation>
constexpr SumBlocks sum_blocks{
    {{&sum_block<V, Out, activation, 1, 1>, &sum_block<V, Out, activation, 1, 2>},
     {&sum_block<V, Out, activation, 2, 1>, &sum_block<V, Out, activation, 2, 2>}}};

template <class V, class Out>
const SumBlocks& sum_blocks_for(Activation activation) {
  switch (activation) {
    case Activation::gelu_tanh:
      return sum_blocks<V, Out, Activation::gelu_tanh>;
    case Activation::gelu_erf:
      return sum_blocks<V, Out, Activation::gelu_erf>;
    case Activation::none:
      break;
  }
  return sum_blocks<V, Out, Activation::none>;
}

// Blocks one after another, each leaving while the next is summed up.
template <class V>
class BlockProduct {
 public:
  explicit BlockProduct(const Product& product)
      : product_(product),
        sums_of_(product.out == Element::fp32 ? sum_blocks_for<V, float>(product.activation)
                                              : sum_blocks_for<V, Bf16>(product.activation)),
        unit_stores_(product.out == Element::fp32 && product.activation == Activation::none &&
                     product.row_scale == nullptr) {}

  // Rows [row, row + rows) and columns [first, last), which begins with a panel.
  void rows(std::int64_t row, std::int64_t rows, std::int64_t first, std::int64_t last) {
    shapes_.set(rows);
    const bool has_tail = product_.k % tile_k != 0;
    if (has_tail) tail_.fill(product_, row, rows);
    Operands operands{.a = static_cast<const Bf16*>(product_.a) + row * product_.a_stride,
                      .a_stride = product_.a_stride * 2,
                      .tail = has_tail ? tail_.values() : nullptr,
                      .steps = product_.k / tile_k,
                      .weights = nullptr,
                      .bias = nullptr};
    for (std::int64_t column = first; column < last; column += block_rows) {
      const std::int64_t left = product_.n - column;
      const std::int64_t columns = left < block_rows ? left : block_rows;
      operands.weights = product_.weights + panel_offset<V, Bf16>(column, product_.k);
      operands.bias = bias(column, columns);
      if (unit_stores_ && columns % unit_rows == 0) {
        float* const out = static_cast<float*>(product_.c) + row * product_.c_stride + column;
        sum(operands, rows, columns, out, product_.c_stride);
        leaving_ = {};
      } else {
        float* const sums = sums_[odd_];
        odd_ = 1 - odd_;
        sum(operands, rows, columns, sums, block_rows);
        leaving_ = leaving(sums, row, column, rows, columns);
      }
    }
  }

  void finish() {
    while (leaving_.rows > 0) {
      product_.out == Element::fp32 ? leave<float>() : leave<Bf16>();
    }
  }

 private:
  template <class Out>
  void leave() {
    switch (product_.activation) {
      case Activation::gelu_tanh:
        return leave_row<V, Out, Activation::gelu_tanh>(leaving_);
      case Activation::gelu_erf:
        return leave_row<V, Out, Activation::gelu_erf>(leaving_);
      case Activation::none:
        return leave_row<V, Out, Activation::none>(leaving_);
    }
  }

  void sum(const Operands& operands, std::int64_t rows, std::int64_t columns, float* sums,
           std::int64_t stride) {
    sums_of_.of[rows > unit_rows ? 1 : 0][columns > unit_rows ? 1 : 0](operands, leaving_, sums,
                                                                       stride);
  }

  Leaving leaving(const float* sums, std::int64_t row, std::int64_t column, std::int64_t rows,
                  std::int64_t columns) {
    const std::int64_t bytes = product_.out == Element::fp32 ? 4 : 2;
    return {.sums = sums,
            .row_scale = product_.row_scale == nullptr ? nullptr : product_.row_scale + row,
            .out = static_cast<char*>(product_.c) + (row * product_.c_stride + column) * bytes,
            .stride = product_.c_stride * bytes,
            .columns = columns,
            .rows = static_cast<int>(rows)};
  }

  const float* bias(std::int64_t column, std::int64_t columns) {
    if (product_.bias == nullptr) return nullptr;
    if (columns % unit_rows == 0) return product_.bias + column;
    for (std::int64_t i = 0; i < block_rows; ++i) {
      bias_[i] = i < columns ? product_.bias[column + i] : 0;
    }
    asm volatile("" ::: "memory");
    return bias_;
  }

  const Product& product_;
  const SumBlocks& sums_of_;
  const bool unit_stores_;  // nothing is left to do to the sums
  Shapes shapes_;
  Leaving leaving_;
  int odd_ = 0;
  alignas(64) float sums_[2][block_rows * block_rows];
  alignas(64) float bias_[block_rows];
  Tail tail_;
};

// Columns [first, last) of a product of bf16; first is a multiple of 32.
template <class V>
void multiply_tiles(const Product& product, std::int64_t first, std::int64_t last) {
  BlockProduct<V> blocks(product);
  const std::int64_t column_bytes = words_of<V, Bf16>(product.k) * 4;
  const std::int64_t fitting = group_bytes / column_bytes / block_rows * block_rows;
  const std::int64_t group = fitting < block_rows ? block_rows : fitting;
  for (std::int64_t column = first; column < last; column += group) {
    const std::int64_t end = column + group < last ? column + group : last;
    for (std::int64_t row = 0; row < product.m; row += block_rows) {
      const std::int64_t rows = product.m - row < block_rows ? product.m - row : block_rows;
      blocks.rows(row, rows, column, end);
    }
  }
  blocks.finish();
}

}  // namespace
}  // namespace l2c::ops::cpu
