// 8 lanes, with FMA. Internal linkage: see kernels.h.
#pragma once

#include <immintrin.h>

#include "kernels.h"

namespace l2c::ops::cpu {
namespace {

struct Avx2 {
  static constexpr int width = 8;
  static constexpr int tile_rows = 6;  // 6 x 2 accumulators of the 16 registers
  template <class E>
  static constexpr int row_block = tile_rows;  // that a product works on at a time
  template <class E>
  static constexpr int query_rows = 4 * tile_rows;
  template <class E>
  static constexpr int tile_vectors = 2;
  template <class E>
  static constexpr int word_block = 1;
  using Floats = __m256;
  using Words = __m256i;

  static __m256i first(std::int64_t n) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lanes);
  }

  static Floats set(float x) { return _mm256_set1_ps(x); }
  static Floats load(const float* p) { return _mm256_loadu_ps(p); }
  static Floats load(const float* p, std::int64_t n) { return _mm256_maskload_ps(p, first(n)); }
  static Floats load(const Bf16* p) {
    return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Floats load(const Bf16* p, std::int64_t n) { return widen(load_halves(p, n)); }
  static void store(float* p, Floats x) { _mm256_storeu_ps(p, x); }
  static void store(float* p, Floats x, std::int64_t n) { _mm256_maskstore_ps(p, first(n), x); }
  static void store(Bf16* p, Floats x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(x));
  }
  static void store(Bf16* p, Floats x, std::int64_t n) {
    alignas(16) Bf16 lanes[width];
    store(lanes, x);
    for (std::int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  static Words load_words(const std::uint32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void store_words(std::uint32_t* p, Words x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
  }
  static Words broadcast(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static Words pairs(const Bf16* low, const Bf16* high, std::int64_t n) {
    const Words lows = _mm256_cvtepu16_epi32(load_halves(low, n));
    if (high == nullptr) return lows;
    const Words highs = _mm256_cvtepu16_epi32(load_halves(high, n));
    return _mm256_or_si256(lows, _mm256_slli_epi32(highs, 16));
  }
  static Floats as_floats(Words x) { return _mm256_castsi256_ps(x); }

  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  static Floats rough_reciprocal(Floats x) { return div(set(1), x); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static Floats round(Floats x) { return _mm256_round_ps(x, 0x08); }
  static Floats scale_by_power(Floats x, Floats n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
  }
  static Floats add_to_exponent(Floats x, Floats ends_in_n) {
    const __m256i shifted = _mm256_slli_epi32(_mm256_castps_si256(ends_in_n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), shifted));
  }
  static Floats copy_sign(Floats magnitude, Floats sign) {
    const __m256 bit = _mm256_set1_ps(-0.0F);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
  }
  static float sum(Floats x) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
  }
  static float largest(Floats x) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_shuffle_ps(four, four, 1)));
  }

  // Two fused multiply-adds: of the low halves, then of the high ones.
  static Floats dot_pairs(Floats acc, Words a, Words b) {
    acc = fma(low_half(a), low_half(b), acc);
    return fma(high_half(a), high_half(b), acc);
  }

 private:
  static Floats low_half(Words x) { return as_floats(_mm256_slli_epi32(x, 16)); }
  static Floats high_half(Words x) {
    return as_floats(_mm256_and_si256(x, _mm256_set1_epi32(static_cast<int>(0xFFFF0000U))));
  }
  static __m128i load_halves(const Bf16* p, std::int64_t n) {
    alignas(16) Bf16 lanes[width] = {};
    for (std::int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return _mm_load_si128(reinterpret_cast<const __m128i*>(lanes));
  }
  static Floats widen(__m128i x) {
    return as_floats(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
  }
  // To nearest, ties to even; NaN stays NaN.
  static __m128i narrow(Floats x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i words = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7FC0), nan);
    const __m256i packed = _mm256_packus_epi32(words, words);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
  }
};

}  // namespace
}  // namespace l2c::ops::cpu
