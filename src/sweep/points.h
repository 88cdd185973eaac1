// From an evaluation to a sweep's points.
#pragma once

#include <vector>

#include "l2c/core/cost.h"
#include "l2c/evaluation/evaluator.h"
#include "l2c/sweep/record.h"

namespace l2c {

// With the numbers as `choosing`, the first policy as what all others are compared with. Throws
// RunError when its Frechet distance is 0.
std::vector<SweepPoint> points_of(const EvaluationReport& report, const ForwardCost& cost);

// The first `count` of the set, or all where it has fewer, with their labels. Throws InputError for
// a file that was damaged or changed since.
std::vector<Image> first_images(const SampleSet& set, int count);

}  // namespace l2c
