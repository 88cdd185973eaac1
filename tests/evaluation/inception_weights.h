// Weights and images by the rule of tests/data/evaluation/make_inception.py.
#pragma once

#include <cstdint>

#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"

namespace l2c::test {

io::TensorMap inception_weights();
// [count, 3, size, size]: bytes as fp32 in [-1, 1].
at::Tensor inception_images(std::uint64_t stream, std::int64_t count, std::int64_t size);

}  // namespace l2c::test
