// What is measured on runs belongs to runs of one size.
#pragma once

#include <string>

#include "l2c/cache/plan.h"

namespace l2c {

// Throws InputError, which begins with `what`, when the run has other evaluations or units.
// Throws InputError for a run that starts anew within: what is measured compares all its
// evaluations.
void check_measurable(const std::string& what, const RunShape& shape);

void check_measured(const std::string& what, int evaluations, int units, const RunShape& shape);

}  // namespace l2c
