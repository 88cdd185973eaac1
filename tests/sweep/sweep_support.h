// Sweeps made by hand.
#pragma once

#include <string>

#include "l2c/sweep/record.h"

namespace l2c::test {

// Measured on the choosing seeds: seconds an image, percent above computing everything, whose
// Frechet distance is 10 and which takes 1 s.
SweepPoint measured(const std::string& name, double seconds, double percent);
// The same numbers with other names. full: seconds an image of computing everything.
SweepNumbers numbers(double seconds, double percent, double full = 1);

// Computing everything, two points on the front, one that is off it and not reported, one that
// decides as it goes; budgets of 2 % (met), 0.5 % (not met) and 1.9x (met).
SweepRecord small_record();

}  // namespace l2c::test
