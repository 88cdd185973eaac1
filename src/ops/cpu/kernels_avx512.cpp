// AVX-512 without its bf16 instructions: pairs are multiplied in fp32, rounding is done by hand.
#include "kernels.h"
#include "table.h"
#include "vec_avx512.h"

namespace l2c::ops::cpu {

namespace {

struct Avx512 : Avx512Base {
  using Avx512Base::store;
  static void store(Bf16* p, Floats x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(x));
  }
  static void store(Bf16* p, Floats x, std::int64_t n) {
    _mm256_mask_storeu_epi16(p, first(n), narrow(x));
  }
  // Two fused multiply-adds: of the low halves, then of the high ones.
  static Floats dot_pairs(Floats acc, Words a, Words b) {
    acc = fma(low_half(a), low_half(b), acc);
    return fma(high_half(a), high_half(b), acc);
  }

 private:
  static Floats low_half(Words x) { return as_floats(_mm512_slli_epi32(x, 16)); }
  static Floats high_half(Words x) {
    return as_floats(_mm512_and_si512(x, _mm512_set1_epi32(static_cast<int>(0xFFFF0000U))));
  }
  // To nearest, ties to even; NaN stays NaN.
  static __m256i narrow(Floats x) {
    const Words bits = _mm512_castps_si512(x);
    const Words odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const Words rounded = _mm512_srli_epi32(
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7FC0)));
  }
};

}  // namespace

const Kernels avx512_kernels = table<Avx512>("avx512");

}  // namespace l2c::ops::cpu
