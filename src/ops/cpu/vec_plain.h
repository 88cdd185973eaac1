// 4 lanes in plain C++, for processors without AVX2 and for every other architecture. Internal
// linkage: see kernels.h.
#pragma once

#include "kernels.h"

namespace l2c::ops::cpu {
namespace {

struct Plain {
  static constexpr int width = 4;
  static constexpr int tile_rows = 3;
  template <class E>
  static constexpr int row_block = tile_rows;  // that a product works on at a time
  template <class E>
  static constexpr int query_rows = 4 * tile_rows;
  template <class E>
  static constexpr int tile_vectors = 2;
  template <class E>
  static constexpr int word_block = 1;
  struct Floats {
    float lane[width];
  };
  struct Words {
    std::uint32_t lane[width];
  };

  template <class F>
  __attribute__((always_inline)) static Floats each(F f) {
    Floats r;
    for (int i = 0; i < width; ++i) r.lane[i] = f(i);
    return r;
  }

  static Floats set(float x) {
    return each([&](int) { return x; });
  }
  static Floats load(const float* p) {
    return each([&](int i) { return p[i]; });
  }
  static Floats load(const float* p, std::int64_t n) {
    return each([&](int i) { return i < n ? p[i] : 0.0F; });
  }
  static Floats load(const Bf16* p) { return load(p, width); }
  static Floats load(const Bf16* p, std::int64_t n) {
    return each([&](int i) { return i < n ? as_float(std::uint32_t{p[i].bits} << 16U) : 0.0F; });
  }
  static void store(float* p, Floats x) { store(p, x, width); }
  static void store(float* p, Floats x, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) p[i] = x.lane[i];
  }
  static void store(Bf16* p, Floats x) { store(p, x, width); }
  static void store(Bf16* p, Floats x, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) p[i] = narrow(x.lane[i]);
  }
  static Words load_words(const std::uint32_t* p) {
    Words r;
    for (int i = 0; i < width; ++i) r.lane[i] = p[i];
    return r;
  }
  static void store_words(std::uint32_t* p, Words x) {
    for (int i = 0; i < width; ++i) p[i] = x.lane[i];
  }
  static Words broadcast(std::uint32_t x) {
    Words r;
    for (int i = 0; i < width; ++i) r.lane[i] = x;
    return r;
  }
  static Words pairs(const Bf16* low, const Bf16* high, std::int64_t n) {
    Words r{};
    for (std::int64_t i = 0; i < n; ++i) {
      r.lane[i] = low[i].bits | (high != nullptr ? std::uint32_t{high[i].bits} << 16U : 0U);
    }
    return r;
  }
  static Floats as_floats(Words x) {
    return each([&](int i) { return as_float(x.lane[i]); });
  }

  static Floats add(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static Floats sub(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static Floats mul(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static Floats rough_reciprocal(Floats x) { return div(set(1), x); }
  static Floats div(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  static Floats fma(Floats a, Floats b, Floats c) {
    return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static Floats max(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static Floats min(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static Floats round(Floats x) {
    return each([&](int i) { return __builtin_rintf(x.lane[i]); });
  }
  static Floats scale_by_power(Floats x, Floats n) {
    return each([&](int i) {
      const auto exponent = n.lane[i] == n.lane[i] ? static_cast<int>(n.lane[i]) + 127 : 127;
      return x.lane[i] * as_float(static_cast<std::uint32_t>(exponent) << 23U);
    });
  }
  static Floats add_to_exponent(Floats x, Floats ends_in_n) {
    return each([&](int i) {
      const auto bits = __builtin_bit_cast(std::uint32_t, x.lane[i]);
      const auto n = __builtin_bit_cast(std::uint32_t, ends_in_n.lane[i]);
      return __builtin_bit_cast(float, bits + (n << 23));
    });
  }
  static Floats copy_sign(Floats magnitude, Floats sign) {
    return each([&](int i) { return __builtin_copysignf(magnitude.lane[i], sign.lane[i]); });
  }
  static float sum(Floats x) { return (x.lane[0] + x.lane[2]) + (x.lane[1] + x.lane[3]); }
  static float largest(Floats x) {
    float most = x.lane[0];
    for (int i = 1; i < width; ++i) most = x.lane[i] > most ? x.lane[i] : most;
    return most;
  }
  static Floats dot_pairs(Floats acc, Words a, Words b) {
    return each([&](int i) {
      const float low = as_float(a.lane[i] << 16U) * as_float(b.lane[i] << 16U) + acc.lane[i];
      return as_float(a.lane[i] & 0xFFFF0000U) * as_float(b.lane[i] & 0xFFFF0000U) + low;
    });
  }

 private:
  static float as_float(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }
  // To nearest, ties to even; NaN stays NaN.
  static Bf16 narrow(float x) {
    if (x != x) return {0x7FC0};
    const auto bits = __builtin_bit_cast(std::uint32_t, x);
    return {static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U)};
  }
};

}  // namespace
}  // namespace l2c::ops::cpu
