// 16 lanes. Internal linkage: see kernels.h.
#pragma once

#include <immintrin.h>

#include "kernels.h"

namespace l2c::ops::cpu {
namespace {

struct Avx512Base {
  static constexpr int width = 16;
  static constexpr int tile_rows = 6;  // 6 x 4 accumulators of the 32 registers
  template <class E>
  static constexpr int row_block = tile_rows;  // that a product works on at a time
  template <class E>
  static constexpr int query_rows = 4 * tile_rows;
  template <class E>
  static constexpr int tile_vectors = 4;
  template <class E>
  static constexpr int word_block = 1;
  using Floats = __m512;
  using Words = __m512i;

  static __mmask16 first(std::int64_t n) { return static_cast<__mmask16>((1U << n) - 1U); }

  static Floats set(float x) { return _mm512_set1_ps(x); }
  static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static Floats load(const float* p, std::int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static Floats load(const Bf16* p) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Floats load(const Bf16* p, std::int64_t n) {
    return widen(_mm256_maskz_loadu_epi16(first(n), p));
  }
  static void store(float* p, Floats x) { _mm512_storeu_ps(p, x); }
  static void store(float* p, Floats x, std::int64_t n) { _mm512_mask_storeu_ps(p, first(n), x); }
  static Words load_words(const std::uint32_t* p) { return _mm512_loadu_si512(p); }
  static void store_words(std::uint32_t* p, Words x) { _mm512_storeu_si512(p, x); }
  static Words broadcast(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  // Lane i: the bits of low[i], those of high[i] above them. Null: zeros. n <= 16 elements.
  static Words pairs(const Bf16* low, const Bf16* high, std::int64_t n) {
    const Words lows = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(n), low));
    if (high == nullptr) return lows;
    const Words highs = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(n), high));
    return _mm512_or_si512(lows, _mm512_slli_epi32(highs, 16));
  }
  // Words [i][j] of `from` to [j][i] of `to`: `rows` <= 16 rows of `bytes` <= 64, `stride` bytes
  // apart, become `words` <= 16 rows of 16 words, to_stride words apart. Zeros for what is not
  // there.
  static void transpose(const void* from, std::int64_t stride, std::int64_t rows,
                        std::int64_t bytes, std::uint32_t* to, std::int64_t to_stride,
                        std::int64_t words) {
    const __mmask64 there = bytes >= 64 ? ~__mmask64{0} : (__mmask64{1} << bytes) - 1;
    Words a[16], b[16];
    for (int i = 0; i < 16; ++i) {
      a[i] = _mm512_setzero_si512();
      if (i < rows) {
        a[i] = _mm512_maskz_loadu_epi8(there, static_cast<const char*>(from) + i * stride);
      }
    }
    for (int i = 0; i < 16; i += 2) {
      b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
      b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
      for (int j = 0; j < 2; ++j) {
        a[i + 2 * j] = _mm512_unpacklo_epi64(b[i + j], b[i + j + 2]);
        a[i + 2 * j + 1] = _mm512_unpackhi_epi64(b[i + j], b[i + j + 2]);
      }
    }
    // Now a[4 g + c] holds, in its lane l, column 4 l + c of the rows 4 g ... 4 g + 3.
    for (int c = 0; c < 4; ++c) {
      const Words even_low = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x88);
      const Words odd_low = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xDD);
      const Words even_high = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x88);
      const Words odd_high = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xDD);
      b[c] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
      b[8 + c] = _mm512_shuffle_i32x4(even_low, even_high, 0xDD);
      b[4 + c] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
      b[12 + c] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xDD);
    }
    for (int j = 0; j < 16; ++j) {
      if (j < words) store_words(to + j * to_stride, b[j]);
    }
  }
  static Floats as_floats(Words x) { return _mm512_castsi512_ps(x); }

  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  // Relative error below 2^-14.
  static Floats rough_reciprocal(Floats x) { return _mm512_rcp14_ps(x); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  // NaN where b is NaN.
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats round(Floats x) { return _mm512_roundscale_ps(x, 0x08); }
  // x * 2^n for whole n of -126 ... 127.
  static Floats scale_by_power(Floats x, Floats n) { return _mm512_scalef_ps(x, n); }
  // x * 2^n, where n is what the bits of ends_in_n end in.
  static Floats add_to_exponent(Floats x, Floats ends_in_n) {
    const Words shifted = _mm512_slli_epi32(_mm512_castps_si512(ends_in_n), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), shifted));
  }
  static Floats copy_sign(Floats magnitude, Floats sign) {
    const Words bit = _mm512_set1_epi32(static_cast<int>(0x80000000U));
    return _mm512_castsi512_ps(
        _mm512_or_si512(_mm512_andnot_si512(bit, _mm512_castps_si512(magnitude)),
                        _mm512_and_si512(bit, _mm512_castps_si512(sign))));
  }
  static float sum(Floats x) { return _mm512_reduce_add_ps(x); }
  static float largest(Floats x) { return _mm512_reduce_max_ps(x); }

  static Floats widen(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
  }
};

}  // namespace
}  // namespace l2c::ops::cpu
