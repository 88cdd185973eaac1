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

// How many values of a summand are read in one pass over the tokens: what few registers and the
// processor's own prefetching serve.
constexpr std::size_t values_at_once = 4;

// `count` values of the same element, 1 to values_at_once of them.
template <class V, class E, std::size_t count>
void add_values(float* tokens, const WeightedValue* values, std::int64_t first, const float* gate,
                std::int64_t d) {
  const E* from[count];
  typename V::Floats weights[count];
  for (std::size_t k = 0; k < count; ++k) {
    from[k] = static_cast<const E*>(values[k].value) + first;
    weights[k] = V::set(values[k].weight);
  }
  const bool plain = count == 1 && values[0].weight == 1;
  for_vectors<V>(d, [&](std::int64_t i, std::int64_t left) {
    auto sum = load_left<V>(from[0] + i, left);
    if (!plain) sum = V::mul(sum, weights[0]);
    for (std::size_t k = 1; k < count; ++k) {
      sum = V::fma(load_left<V>(from[k] + i, left), weights[k], sum);
    }
    const auto old = load_left<V>(tokens + i, left);
    store_left<V>(
        tokens + i,
        gate == nullptr ? V::add(old, sum) : V::fma(load_left<V>(gate + i, left), sum, old), left);
  });
}

template <class V, class E>
void add_values(float* tokens, const WeightedValue* values, std::size_t count, std::int64_t first,
                const float* gate, std::int64_t d) {
  switch (count) {
    case 1:
      return add_values<V, E, 1>(tokens, values, first, gate, d);
    case 2:
      return add_values<V, E, 2>(tokens, values, first, gate, d);
    case 3:
      return add_values<V, E, 3>(tokens, values, first, gate, d);
    default:
      return add_values<V, E, values_at_once>(tokens, values, first, gate, d);
  }
}

// How many of the values from the first on can be read together.
template <class V>
std::size_t alike(const WeightedValue* values, std::size_t count) {
  std::size_t result = 1;
  while (result < count && result < values_at_once && values[result].element == values->element) {
    ++result;
  }
  return result;
}

// The values of row `row`.
template <class V>
void add_summand(float* tokens, const Summand& summand, std::int64_t row, const float* gate,
                 std::int64_t d) {
  for (std::size_t k = 0; k < summand.value_count;) {
    const WeightedValue* const values = summand.values + k;
    const std::size_t together = alike<V>(values, summand.value_count - k);
    if (values->element == Element::fp32) {
      add_values<V, float>(tokens, values, together, row * d, gate, d);
    } else {
      add_values<V, Bf16>(tokens, values, together, row * d, gate, d);
    }
    k += together;
  }
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
      add_summand<V>(tokens, s, row, gate, norm.d);
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
