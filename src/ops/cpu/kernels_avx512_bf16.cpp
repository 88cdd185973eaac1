// AVX-512 with bf16 dot products and conversions (Zen 4, Cooper Lake, Sapphire Rapids and later).
#include "kernels.h"
#include "table.h"
#include "vec_avx512_bf16.h"

namespace l2c::ops::cpu {

const Kernels avx512_bf16_kernels = table<Avx512Bf16>("avx512_bf16");

}  // namespace l2c::ops::cpu
