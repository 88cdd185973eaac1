// Reproducible noise.
#pragma once

#include <cstdint>

#include "l2c/core/torch.h"

namespace l2c {

// Standard normal fp32 values on the CPU from a counter-based generator (Philox 4x32-10,
// Box-Muller) keyed by (seed, image, step): the same values whatever the batch, thread, device or
// process. step -1 is the initial noise, step >= 0 that of evaluation `step`. image >= 0.
at::Tensor philox_normal(std::uint64_t seed, std::int64_t image, int step, at::IntArrayRef shape);

}  // namespace l2c
