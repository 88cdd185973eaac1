// What one thread of the residual stream's kernel does between two sums over its block. Plain
// functions for host and device, so that the tests can run a block on the CPU, thread by thread.
// `elements` is how many neighbouring elements a thread takes at a time: 4 or 1. Each thread
// touches the same elements of the row's memory in every phase, so phases need no barrier.
#pragma once

#include <cstring>

#include "cuda/residual_pass.h"

#ifdef __CUDACC__
#define L2C_HOST_DEVICE __host__ __device__
#else
#define L2C_HOST_DEVICE
#endif

namespace l2c::ops::cuda {

template <int elements>
struct alignas(4 * elements) Floats {
  float v[elements];
};

template <int elements>
struct alignas(2 * elements) Halves {
  std::uint16_t v[elements];
};

L2C_HOST_DEVICE inline float from_bf16(std::uint16_t bits) {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float x;
  memcpy(&x, &wide, sizeof x);
  return x;
}

// To the nearest, ties to even; NaN stays NaN.
L2C_HOST_DEVICE inline std::uint16_t to_bf16(float x) {
  std::uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return 0x7fc0;
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

// Memory at p is aligned to the vector's size: launch_of() has seen to it. nvcc turns a memcpy into
// single bytes, and a dereferenced vector into one access; a host compiler may not see the latter.
template <class Vector>
L2C_HOST_DEVICE inline Vector read_aligned(const void* p) {
#ifdef __CUDA_ARCH__
  return *static_cast<const Vector*>(p);
#else
  Vector x;
  memcpy(&x, p, sizeof x);
  return x;
#endif
}

template <class Vector>
L2C_HOST_DEVICE inline void write_aligned(void* p, const Vector& x) {
#ifdef __CUDA_ARCH__
  *static_cast<Vector*>(p) = x;
#else
  memcpy(p, &x, sizeof x);
#endif
}

template <int elements>
L2C_HOST_DEVICE inline Floats<elements> load(const float* p) {
  return read_aligned<Floats<elements>>(p);
}

template <int elements>
L2C_HOST_DEVICE inline Floats<elements> load(const void* p, Element element, std::int64_t at) {
  if (element == Element::fp32) return load<elements>(static_cast<const float*>(p) + at);
  const auto halves = read_aligned<Halves<elements>>(static_cast<const std::uint16_t*>(p) + at);
  Floats<elements> x;
  for (int i = 0; i < elements; ++i) x.v[i] = from_bf16(halves.v[i]);
  return x;
}

template <int elements>
L2C_HOST_DEVICE inline void store(float* p, const Floats<elements>& x) {
  write_aligned(p, x);
}

template <int elements>
L2C_HOST_DEVICE inline void store(void* p, Element element, std::int64_t at,
                                  const Floats<elements>& x) {
  if (element == Element::fp32) return store<elements>(static_cast<float*>(p) + at, x);
  Halves<elements> halves;
  for (int i = 0; i < elements; ++i) halves.v[i] = to_bf16(x.v[i]);
  write_aligned(static_cast<std::uint16_t*>(p) + at, halves);
}

// x += weight * gate * value for the elements from `column` on.
template <int elements>
L2C_HOST_DEVICE inline void add_summand(Floats<elements>& x, const Summand& summand, std::int64_t d,
                                        std::int64_t row, std::int64_t sample,
                                        std::int64_t column) {
  const Floats<elements> value = load<elements>(summand.value, summand.element, row * d + column);
  Floats<elements> factor;
  for (int i = 0; i < elements; ++i) factor.v[i] = 1;
  if (summand.gate != nullptr) {
    factor = load<elements>(summand.gate + sample * summand.gate_stride + column);
  }
  for (int i = 0; i < elements; ++i) x.v[i] += factor.v[i] * (summand.weight * value.v[i]);
}

// Adds the summands to the row, in their order. The new row lies in `memory` afterwards, and in the
// tokens when there was something to add. Returns the sum of this thread's elements.
template <int elements>
L2C_HOST_DEVICE inline float add_summands(const ResidualPass& pass, float* memory, std::int64_t row,
                                          int thread, int threads) {
  const std::int64_t sample = row / pass.rows_per_sample;
  float* const tokens = pass.tokens + row * pass.d;
  float sum = 0;
  for (std::int64_t column = std::int64_t{elements} * thread; column < pass.d;
       column += std::int64_t{elements} * threads) {
    Floats<elements> x = load<elements>(tokens + column);
    for (int s = 0; s < pass.summand_count; ++s) {
      add_summand<elements>(x, pass.summands[s], pass.d, row, sample, column);
    }
    if (pass.summand_count > 0) store<elements>(tokens + column, x);
    store<elements>(memory + column, x);
    for (int i = 0; i < elements; ++i) sum += x.v[i];
  }
  return sum;
}

// The sum of this thread's squared distances from the mean.
template <int elements>
L2C_HOST_DEVICE inline float squares(const ResidualPass& pass, const float* memory, float mean,
                                     int thread, int threads) {
  float sum = 0;
  for (std::int64_t column = std::int64_t{elements} * thread; column < pass.d;
       column += std::int64_t{elements} * threads) {
    const Floats<elements> x = load<elements>(memory + column);
    for (int i = 0; i < elements; ++i) sum += (x.v[i] - mean) * (x.v[i] - mean);
  }
  return sum;
}

// y = y * factor + shift, or without one of them where it is null; one: y * (1 + factor).
template <int elements>
L2C_HOST_DEVICE inline void scale_and_shift(Floats<elements>& y, const float* factor,
                                            const float* shift, float one) {
  if (factor != nullptr) {
    const Floats<elements> f = load<elements>(factor);
    for (int i = 0; i < elements; ++i) y.v[i] *= one + f.v[i];
  }
  if (shift != nullptr) {
    const Floats<elements> s = load<elements>(shift);
    for (int i = 0; i < elements; ++i) y.v[i] += s.v[i];
  }
}

// (x - mean) * scale, the affine part and the modulation of this thread's elements to the output.
template <int elements>
L2C_HOST_DEVICE inline void write_normed(const ResidualPass& pass, const float* memory, float mean,
                                         float scale, std::int64_t row, int thread, int threads) {
  const std::int64_t modulation = row / pass.rows_per_sample * pass.modulation_stride;
  const auto part = [](const float* p, std::int64_t at) { return p == nullptr ? p : p + at; };
  for (std::int64_t column = std::int64_t{elements} * thread; column < pass.d;
       column += std::int64_t{elements} * threads) {
    Floats<elements> y = load<elements>(memory + column);
    for (int i = 0; i < elements; ++i) y.v[i] = (y.v[i] - mean) * scale;
    scale_and_shift<elements>(y, part(pass.weight, column), part(pass.bias, column), 0);
    scale_and_shift<elements>(y, part(pass.scale, modulation + column),
                              part(pass.shift, modulation + column), 1);
    store<elements>(pass.out, pass.out_element, row * pass.d + column, y);
  }
}

}  // namespace l2c::ops::cuda
