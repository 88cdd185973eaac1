// AVX-512 and, for products of bf16, the matrix unit (Sapphire Rapids and later).
#include "kernels.h"
#include "table.h"
#include "tile_attention.h"
#include "tile_kernels.h"
#include "vec_avx512_bf16.h"

namespace l2c::ops::cpu {

namespace {

struct Amx : Avx512Bf16 {
  template <class E>
  static constexpr int row_block = sizeof(E) == 2 ? 32 : Avx512Bf16::row_block<E>;
  template <class E>
  static constexpr int query_rows = sizeof(E) == 2 ? 16 : Avx512Bf16::query_rows<E>;
  template <class E>
  static constexpr int tile_vectors = sizeof(E) == 2 ? 2 : Avx512Bf16::tile_vectors<E>;
  template <class E>
  static constexpr int word_block = sizeof(E) == 2 ? 16 : 1;
  static void multiply(const Product& product, std::int64_t first, std::int64_t last) {
    multiply_tiles<Amx>(product, first, last);
  }
  static bool attend_rows(const Head<Bf16>& head, std::int64_t row, std::int64_t rows) {
    return attend_tiles<Amx>(head, row, rows);
  }
};

}  // namespace

const Kernels amx_kernels = table<Amx>("amx");

}  // namespace l2c::ops::cpu
