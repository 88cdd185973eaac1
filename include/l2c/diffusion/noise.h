// Reproducible noise.
#pragma once

#include <array>
#include <cstdint>

#include "l2c/core/torch.h"

namespace l2c {

// The counter-based generator: 128 random bits for each counter, with no state. Reference:
// Philox4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

// Standard normal fp32 values on the CPU, keyed by (seed, image, step): the same values whatever
// the batch, thread, device or process. step -1 is the initial noise, step >= 0 that of evaluation
// `step`. Value k (in row-major order) does not depend on the shape: a longer tensor starts with
// the values of a shorter one. Thread-safe. Throws InputError: image < 0, step < -1, a negative
// size, more than 2^34 elements.
//
// The layout is part of the format of a seed and never changes: key = seed (low word first);
// counter = {k / 4, step + 1, image (low word, high word)}; words 0 and 1 make the values k % 4 = 0
// and 1, words 2 and 3 the values 2 and 3, by Box-Muller in double: radius from
// (word + 1/2) / 2^32, angle 2 pi word / 2^32, cosine first. So the streams of two different
// (image, step) can never overlap.
at::Tensor philox_normal(std::uint64_t seed, std::int64_t image, int step, at::IntArrayRef shape);

}  // namespace l2c
