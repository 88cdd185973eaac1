// A run by operation.
#pragma once

#include <optional>

#include "l2c/cache/plan.h"
#include "l2c/core/cost.h"
#include "l2c/evaluation/benchmark.h"
#include "l2c/ops/profile.h"

namespace l2c {

// What was collected during a run of `samples` (guidance counted) that took so much time. Without a
// plan nobody knows how many operations there were.
RunProfile run_profile(const ops::Profile& profile, double cpu_seconds, double wall_seconds,
                       const ForwardCost& cost, const std::optional<CachePlan>& plan,
                       double samples);

}  // namespace l2c
