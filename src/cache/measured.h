// What is measured on runs belongs to runs of one size.
#pragma once

#include <string>

#include "l2c/cache/plan.h"

namespace l2c {

// Throws InputError, which begins with `what`, when the run has other evaluations or units.
void check_measured(const std::string& what, int evaluations, int units, const RunShape& shape);

}  // namespace l2c
