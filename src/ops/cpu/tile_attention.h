// Attention of 16 queries on the matrix unit. Templates on a type of internal linkage: see
// kernels.h.
//
// Tiles 0 and 1: scores of 16 keys, in turn; 2 to 4: the queries, 32 values of them each; 5 to 7:
// keys. Then 0 to 4: results, 16 values of them each; 6: weights; 7: values.
#pragma once

#include "attention_kernels.h"
#include "tile_kernels.h"

namespace l2c::ops::cpu {
namespace {

constexpr int most_query_tiles = 3;
constexpr int most_result_tiles = 5;

// Queries that do not fill their tiles, with zeros around them.
struct PaddedQueries {
  alignas(64) Bf16 values[unit_rows * tile_k * most_query_tiles];
};

template <int Tiles>
void load_queries(const Head<Bf16>& head, std::int64_t row, std::int64_t rows,
                  PaddedQueries& padded) {
  const Bf16* first = head.queries + row * head.stride;
  std::int64_t stride = head.stride;
  if (rows < unit_rows || head.size % tile_k != 0) {
    const std::int64_t left = head.size - (Tiles - 1) * tile_k;
    const auto last = static_cast<__mmask32>((std::uint64_t{1} << left) - 1);
    for (std::int64_t r = 0; r < unit_rows; ++r) {
      for (int t = 0; t < Tiles; ++t) {
        const __mmask32 there = r >= rows ? 0 : t == Tiles - 1 ? last : ~__mmask32{0};
        _mm512_store_si512(padded.values + (r * Tiles + t) * tile_k,
                           _mm512_maskz_loadu_epi16(there, first + r * stride + t * tile_k));
      }
    }
    asm volatile("" ::: "memory");  // tile instructions' operands are not visible to the compiler
    first = padded.values;
    stride = Tiles * tile_k;
  }
  _tile_loadd(2, first, stride * 2);
  if constexpr (Tiles >= 2) _tile_loadd(3, first + tile_k, stride * 2);
  if constexpr (Tiles >= 3) _tile_loadd(4, first + 2 * tile_k, stride * 2);
}

// Scores of 16 keys, [16][16]; `Odd` says which tile.
template <int Tiles, bool Odd>
__attribute__((always_inline)) inline void score(const std::uint32_t* keys, std::int64_t stride,
                                                 float* scores) {
  constexpr int line = unit_rows * 4;
  const std::int64_t step = unit_rows * stride / 4;
  // The instructions' operands must be literals.
  if constexpr (Odd) {
    _tile_zero(1);
  } else {
    _tile_zero(0);
  }
  _tile_loadd(5, keys, stride);
  if constexpr (Tiles >= 2) _tile_loadd(6, keys + step, stride);
  if constexpr (Tiles >= 3) _tile_loadd(7, keys + 2 * step, stride);
  if constexpr (Odd) {
    _tile_dpbf16ps(1, 2, 5);
    if constexpr (Tiles >= 2) _tile_dpbf16ps(1, 3, 6);
    if constexpr (Tiles >= 3) _tile_dpbf16ps(1, 4, 7);
    _tile_stored(1, scores, line);
  } else {
    _tile_dpbf16ps(0, 2, 5);
    if constexpr (Tiles >= 2) _tile_dpbf16ps(0, 3, 6);
    if constexpr (Tiles >= 3) _tile_dpbf16ps(0, 4, 7);
    _tile_stored(0, scores, line);
  }
}

// Weights 2^(factor * score) without the usual shift by the largest score, and their sums.
template <class V>
struct Exponents {
  typename V::Floats factor;
  typename V::Floats sums[unit_rows];

  __attribute__((always_inline)) void add(const float* scores, __mmask16 there, Bf16* weights,
                                          std::int64_t stride) {
#pragma GCC unroll 16
    for (int r = 0; r < unit_rows; ++r) {
      auto e = rough_power_of_two<V>(V::mul(V::load(scores + r * unit_rows), factor));
      e = _mm512_maskz_mov_ps(there, e);
      sums[r] = V::add(sums[r], e);
      V::store(weights + r * stride, e);
    }
  }
};

// All scores of the queries in tiles 2 to 4, and their weights. False: a sum is so large or so
// small that values were clamped; the weights are of no use then.
template <class V, int Tiles>
bool weigh(const Head<Bf16>& head, float* inverses) {
  alignas(64) float scores[2][unit_rows * unit_rows];
  Exponents<V> exponents{.factor = V::set(head.scale * 1.44269504F), .sums = {}};
  for (auto& sum : exponents.sums) sum = V::set(0);
  const auto keys_at = [&](std::int64_t key) {
    const std::int64_t panel = key / block_rows * block_rows;
    return head.keys + panel_offset<V, Bf16>(panel, head.size) + (key - panel);
  };
  const auto stride_at = [&](std::int64_t key) {
    return panel_width<V, Bf16>(key / block_rows * block_rows, head.tokens) * 4;
  };
  const auto weigh_tile = [&](std::int64_t key, const float* of) __attribute__((always_inline)) {
    const std::int64_t left = head.tokens - key;
    exponents.add(of, left < unit_rows ? V::first(left) : __mmask16(0xFFFF), head.weights + key,
                  head.padded);
  };
  score<Tiles, false>(keys_at(0), stride_at(0), scores[0]);
  std::int64_t key = 0;
  for (; key + unit_rows < head.tokens; key += block_rows) {
    score<Tiles, true>(keys_at(key + unit_rows), stride_at(key), scores[1]);
    weigh_tile(key, scores[0]);
    if (key + block_rows < head.tokens) {
      score<Tiles, false>(keys_at(key + block_rows), stride_at(key + block_rows), scores[0]);
    }
    weigh_tile(key + unit_rows, scores[1]);
  }
  if (key < head.tokens) {
    weigh_tile(key, scores[0]);
    for (int r = 0; r < unit_rows; ++r) {  // what completes the last 32 weights
      V::store(head.weights + r * head.padded + key + unit_rows, V::set(0));
    }
  }
  bool fine = true;
  for (int r = 0; r < unit_rows; ++r) {
    const float sum = V::sum(exponents.sums[r]);
    fine = fine && sum > 0x1p-60F && sum < 0x1p100F;
    inverses[r] = 1 / sum;
  }
  return fine;
}

template <int Tiles>
__attribute__((always_inline)) inline void mix_step(const Bf16* weights, std::int64_t stride,
                                                    const std::uint32_t* const* values,
                                                    const std::int64_t* value_strides) {
  _tile_loadd(6, weights, stride);
  _tile_loadd(7, values[0], value_strides[0]);
  _tile_dpbf16ps(0, 6, 7);
  if constexpr (Tiles >= 2) {
    _tile_loadd(7, values[0] + unit_rows, value_strides[0]);
    _tile_dpbf16ps(1, 6, 7);
  }
  if constexpr (Tiles >= 3) {
    _tile_loadd(7, values[1], value_strides[1]);
    _tile_dpbf16ps(2, 6, 7);
  }
  if constexpr (Tiles >= 4) {
    _tile_loadd(7, values[1] + unit_rows, value_strides[1]);
    _tile_dpbf16ps(3, 6, 7);
  }
  if constexpr (Tiles >= 5) {
    _tile_loadd(7, values[2], value_strides[2]);
    _tile_dpbf16ps(4, 6, 7);
  }
}

// weights x values -> sums [16][16 * Tiles].
template <class V, int Tiles>
void mix(const Head<Bf16>& head, float* sums) {
  constexpr int panels = (Tiles + 1) / 2;
  const std::uint32_t* values[panels];
  std::int64_t strides[panels];
  for (int p = 0; p < panels; ++p) {
    values[p] = head.values + panel_offset<V, Bf16>(p * block_rows, head.tokens);
    strides[p] = panel_width<V, Bf16>(p * block_rows, head.size) * 4;
  }
  _tile_zero(0);
  if constexpr (Tiles >= 2) _tile_zero(1);
  if constexpr (Tiles >= 3) _tile_zero(2);
  if constexpr (Tiles >= 4) _tile_zero(3);
  if constexpr (Tiles >= 5) _tile_zero(4);
  for (std::int64_t key = 0; key < head.tokens; key += tile_k) {
    mix_step<Tiles>(head.weights + key, head.padded * 2, values, strides);
    for (int p = 0; p < panels; ++p) values[p] += unit_rows * strides[p] / 4;
  }
  constexpr int line = Tiles * unit_rows * 4;
  _tile_stored(0, sums, line);
  if constexpr (Tiles >= 2) _tile_stored(1, sums + unit_rows, line);
  if constexpr (Tiles >= 3) _tile_stored(2, sums + 2 * unit_rows, line);
  if constexpr (Tiles >= 4) _tile_stored(3, sums + 3 * unit_rows, line);
  if constexpr (Tiles >= 5) _tile_stored(4, sums + 4 * unit_rows, line);
}

template <class V>
bool weigh_by_size(const Head<Bf16>& head, std::int64_t row, std::int64_t rows, float* inverses) {
  PaddedQueries padded;
  switch ((head.size + tile_k - 1) / tile_k) {
    case 1:
      load_queries<1>(head, row, rows, padded);
      return weigh<V, 1>(head, inverses);
    case 2:
      load_queries<2>(head, row, rows, padded);
      return weigh<V, 2>(head, inverses);
    default:
      load_queries<3>(head, row, rows, padded);
      return weigh<V, 3>(head, inverses);
  }
}

template <class V>
void mix_by_size(const Head<Bf16>& head, std::int64_t tiles, float* sums) {
  switch (tiles) {
    case 1:
      return mix<V, 1>(head, sums);
    case 2:
      return mix<V, 2>(head, sums);
    case 3:
      return mix<V, 3>(head, sums);
    case 4:
      return mix<V, 4>(head, sums);
    default:
      return mix<V, 5>(head, sums);
  }
}

// Rows [row, row + rows) of a head, at most 16. False: nothing was done, for the head is too wide
// or its scores need the shift.
template <class V>
bool attend_tiles(const Head<Bf16>& head, std::int64_t row, std::int64_t rows) {
  const std::int64_t tiles = (head.size + unit_rows - 1) / unit_rows;
  if (tiles > most_result_tiles) return false;
  Shapes shapes;
  shapes.set(block_rows);  // 16 rows in every tile
  alignas(64) float sums[unit_rows * unit_rows * most_result_tiles];
  float inverses[unit_rows];
  if (!weigh_by_size<V>(head, row, rows, inverses)) return false;
  asm volatile("" ::: "memory");
  mix_by_size<V>(head, tiles, sums);
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto inverse = V::set(inverses[r]);
    Bf16* const out = head.out + (row + r) * head.out_stride;
    for (std::int64_t t = 0; t < tiles; ++t) {
      store_columns<V>(out + t * unit_rows,
                       V::mul(V::load(sums + (r * tiles + t) * unit_rows), inverse),
                       head.size - t * unit_rows);
    }
  }
  return true;
}

}  // namespace
}  // namespace l2c::ops::cpu
