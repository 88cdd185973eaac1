#pragma once

#include <cstdint>

#include "l2c/core/torch.h"
#include "l2c/datasets/dataset.h"

namespace l2c {

// Throws InputError unless all numbers are 0 ... size - 1.
void check_numbers(c10::ArrayRef<std::int64_t> numbers, const DataInfo& info);

}  // namespace l2c
