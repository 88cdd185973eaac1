// What every file of a training is checked for.
#pragma once

#include <cstdint>
#include <string>

#include "l2c/io/safetensors.h"

namespace l2c {

// Throws RunError that names the step and a tensor that is not finite: what must not be saved.
void check_finite(const io::TensorMap& tensors, std::int64_t step);

}  // namespace l2c
