// The residual stream's pass. Templates on a type of internal linkage: see kernels.h.
#pragma once

#include "kernels.h"

namespace l2c::ops::cpu {

// Calls f(first, left) for the vectors of a row of d; left < width in the last one.
template <class V, class F>
void for_vectors(std::int64_t d, F f) {
  std::int64_t i = 0;
  for (; i + V::width <= d; i += V::width) f(i, std::int64_t{V::width});
  if (i < d) f(i, d - i);
}

template <class V, class E>
typename V::Floats load_left(const E* p, std::int64_t left) {
  return left == V::width ? V::load(p) : V::load(p, left);
}

template <class V, class E>
void store_left(E* p, typename V::Floats x, std::int64_t left) {
  if (left == V::width) {
    V::store(p, x);
  } else {
    V::store(p, x, left);
  }
}

template <class V, class E>
void add_summand(float* tokens, const E* value, const float* gate, float weight, std::int64_t d) {
  const auto factor = V::set(weight);
  for_vectors<V>(d, [&](std::int64_t i, std::int64_t left) {
    auto scaled = load_left<V>(value + i, left);
    if (weight != 1) scaled = V::mul(scaled, factor);
    const auto old = load_left<V>(tokens + i, left);
    store_left<V>(
        tokens + i,
        gate == nullptr ? V::add(old, scaled) : V::fma(load_left<V>(gate + i, left), scaled, old),
        left);
  });
}

template <class V>
struct Moments {
  float mean, scale;  // scale: 1 / sqrt(variance + eps)
};

template <class V>
Moments<V> moments(const float* tokens, std::int64_t d, float eps) {
  auto sums = V::set(0);
  for_vectors<V>(d, [&](std::int64_t i, std::int64_t left) {
    sums = V::add(sums, load_left<V>(tokens + i, left));
  });
  const auto count = static_cast<float>(d);
  const float mean = V::sum(sums) / count;
  const std::int64_t whole = d / V::width * V::width;
  auto squares = V::set(0);
  for (std::int64_t i = 0; i < whole; i += V::width) {
    const auto from_mean = V::sub(V::load(tokens + i), V::set(mean));
    squares = V::fma(from_mean, from_mean, squares);
  }
  float square = V::sum(squares);
  for (std::int64_t i = whole; i < d; ++i) square += (tokens[i] - mean) * (tokens[i] - mean);
  return {mean, 1 / __builtin_sqrtf(square / count + eps)};
}

template <class V, class Out>
void write_normed(const ResidualNorm& norm, const float* tokens, std::int64_t sample, Out* out) {
  const Moments<V> m = moments<V>(tokens, norm.d, norm.eps);
  const float* const shift =
      norm.shift == nullptr ? nullptr : norm.shift + sample * norm.modulation_stride;
  const float* const scale =
      norm.scale == nullptr ? nullptr : norm.scale + sample * norm.modulation_stride;
  for_vectors<V>(norm.d, [&](std::int64_t i, std::int64_t left) {
    auto y = V::mul(V::sub(load_left<V>(tokens + i, left), V::set(m.mean)), V::set(m.scale));
    if (norm.weight != nullptr) y = V::mul(y, load_left<V>(norm.weight + i, left));
    if (norm.bias != nullptr) y = V::add(y, load_left<V>(norm.bias + i, left));
    if (scale != nullptr) {
      y = V::fma(y, V::add(V::set(1), load_left<V>(scale + i, left)),
                 load_left<V>(shift + i, left));
    }
    store_left<V>(out + i, y, left);
  });
}

template <class V>
void residual_norm(const ResidualNorm& norm, std::int64_t first, std::int64_t last) {
  for (std::int64_t row = first; row < last; ++row) {
    const std::int64_t sample = row / norm.rows_per_sample;
    float* const tokens = norm.tokens + row * norm.d;
    for (std::size_t i = 0; i < norm.summand_count; ++i) {
      const Summand& s = norm.summands[i];
      const float* const gate = s.gate == nullptr ? nullptr : s.gate + sample * s.gate_stride;
      if (s.element == Element::fp32) {
        add_summand<V>(tokens, static_cast<const float*>(s.value) + row * norm.d, gate, s.weight,
                       norm.d);
      } else {
        add_summand<V>(tokens, static_cast<const Bf16*>(s.value) + row * norm.d, gate, s.weight,
                       norm.d);
      }
    }
    if (norm.out == nullptr) continue;
    if (norm.out_element == Element::fp32) {
      write_normed<V>(norm, tokens, sample, static_cast<float*>(norm.out) + row * norm.d);
    } else {
      write_normed<V>(norm, tokens, sample, static_cast<Bf16*>(norm.out) + row * norm.d);
    }
  }
}

}  // namespace l2c::ops::cpu
