// 16 lanes with bf16 dot products and conversions. Internal linkage: see kernels.h.
#pragma once

#include "vec_avx512.h"

namespace l2c::ops::cpu {
namespace {

struct Avx512Bf16 : Avx512Base {
  using Avx512Base::store;
  static void store(Bf16* p, Floats x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(x));
  }
  static void store(Bf16* p, Floats x, std::int64_t n) {
    _mm256_mask_storeu_epi16(p, first(n), narrow(x));
  }
  static Floats dot_pairs(Floats acc, Words a, Words b) {
    return _mm512_dpbf16_ps(acc, __builtin_bit_cast(__m512bh, a), __builtin_bit_cast(__m512bh, b));
  }

 private:
  static __m256i narrow(Floats x) { return __builtin_bit_cast(__m256i, _mm512_cvtneps_pbh(x)); }
};

}  // namespace
}  // namespace l2c::ops::cpu
