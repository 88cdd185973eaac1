// exp, GELU and bf16 words over a vector type. Templates on a type of internal linkage: see
// kernels.h.
#pragma once

#include "kernels.h"

namespace l2c::ops::cpu {

// e^x for x of -87 ... 88, clamped to that; relative error below 2e-7. Cody and Waite's reduction
// and the Taylor polynomial of degree 7 on [-ln 2 / 2, ln 2 / 2].
template <class V>
typename V::Floats exponential(typename V::Floats x) {
  x = V::max(V::set(-87.0F), V::min(V::set(88.0F), x));
  const auto n = V::round(V::mul(x, V::set(1.44269504F)));
  auto r = V::fma(n, V::set(-0.693359375F), x);
  r = V::fma(n, V::set(2.12194440e-4F), r);
  auto p = V::set(1.0F / 5040);
  constexpr float coefficients[] = {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F};
  for (const float c : coefficients) {
    p = V::fma(p, r, V::set(c));
  }
  return V::scale_by_power(p, n);
}

// 2^x for x of -120 ... 120, clamped to that: subnormal results are a hundred times slower.
// Relative error below 1e-4: for what is rounded to bf16. The polynomial is the one of degree 3
// with the least relative error on [-1/2, 1/2].
template <class V>
typename V::Floats rough_power_of_two(typename V::Floats x) {
  x = V::max(V::set(-120.0F), V::min(V::set(120.0F), x));
  // So large that the sum's last bit is 1: it ends in the nearest whole number.
  const auto magic = V::set(12582912.0F);
  const auto ends_in_n = V::add(x, magic);
  const auto f = V::sub(x, V::sub(ends_in_n, magic));
  auto p = V::fma(f, V::set(0.0551713F), V::set(0.2426111F));
  p = V::fma(p, f, V::set(0.6932609F));
  p = V::fma(p, f, V::set(0.9999281F));
  return V::add_to_exponent(p, ends_in_n);
}

// e^(factor * x), as exactly as E holds it.
template <class V, class E>
typename V::Floats exponential_of_product(typename V::Floats x, float factor) {
  if constexpr (sizeof(E) == 2) {
    return rough_power_of_two<V>(V::mul(x, V::set(factor * 1.44269504F)));
  } else {
    return exponential<V>(V::mul(x, V::set(factor)));
  }
}

// x * sigmoid(2u) is 0.5 x (1 + tanh u).
template <class V>
typename V::Floats rough_gelu_tanh(typename V::Floats x) {
  constexpr float factor = -2 * 0.7978845608F * 1.44269504F;
  const auto inner = V::fma(V::mul(x, x), V::set(factor * 0.044715F), V::set(factor));
  const auto e = rough_power_of_two<V>(V::mul(x, inner));
  return V::mul(x, V::rough_reciprocal(V::add(V::set(1), e)));
}

template <class V>
typename V::Floats gelu_tanh(typename V::Floats x) {
  const auto square = V::mul(x, x);
  const auto inner =
      V::fma(square, V::set(-2 * 0.7978845608F * 0.044715F), V::set(-2 * 0.7978845608F));
  const auto e = exponential<V>(V::mul(x, inner));
  return V::div(x, V::add(V::set(1), e));
}

// erf by Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7.
template <class V>
typename V::Floats gelu_erf(typename V::Floats x) {
  const auto z = V::mul(x, V::set(0.70710678F));
  const auto magnitude = V::copy_sign(z, V::set(1));
  const auto t = V::div(V::set(1), V::fma(magnitude, V::set(0.3275911F), V::set(1)));
  auto p = V::set(1.061405429F);
  constexpr float coefficients[] = {-1.453152027F, 1.421413741F, -0.284496736F, 0.254829592F};
  for (const float c : coefficients) {
    p = V::fma(p, t, V::set(c));
  }
  const auto e = exponential<V>(V::mul(V::sub(V::set(0), z), z));
  const auto erf = V::sub(V::set(1), V::mul(V::mul(p, t), e));
  const auto half = V::mul(x, V::set(0.5F));
  return V::fma(half, V::copy_sign(erf, z), half);
}

// As exactly as Out holds it.
template <class V, class Out>
typename V::Floats activated(typename V::Floats x, Activation activation) {
  switch (activation) {
    case Activation::gelu_tanh:
      if constexpr (sizeof(Out) == 2) return rough_gelu_tanh<V>(x);
      return gelu_tanh<V>(x);
    case Activation::gelu_erf:
      return gelu_erf<V>(x);
    case Activation::none:
      break;
  }
  return x;
}

// A product's inner loop works on 32-bit words: one fp32 value, or two neighbours of bf16.
template <class E>
inline constexpr std::int64_t per_word = sizeof(std::uint32_t) / sizeof(E);

template <class V, class E>
std::uint32_t word(const E* p) {
  std::uint32_t w;
  __builtin_memcpy(&w, p, sizeof w);
  return w;
}

template <class V, class E>
__attribute__((always_inline)) inline typename V::Floats multiply_add(typename V::Floats acc,
                                                                      typename V::Words a,
                                                                      typename V::Words b) {
  if constexpr (per_word<E> == 1) {
    return V::fma(V::as_floats(a), V::as_floats(b), acc);
  } else {
    return V::dot_pairs(acc, a, b);
  }
}

template <class V>
std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

}  // namespace l2c::ops::cpu
