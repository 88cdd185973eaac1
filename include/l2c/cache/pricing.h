// What a plan saves and what it holds, before any weight is loaded. No LibTorch header behind it.
#pragma once

#include <cstdint>

#include "l2c/cache/plan.h"
#include "l2c/cache/router.h"
#include "l2c/core/cost.h"

namespace l2c {

struct PlanCost {
  int computed = 0;  // branches of one image's evaluations
  int reused = 0;
  int cache_step_branches = 0;  // branches of the cache steps, what `reused` is out of
  double paper_macs_full =
      0;  // MACs of one image without guidance doubling, attention products left out
  double paper_macs_plan = 0;
  double true_macs_full = 0;  // the same, attention products counted
  double true_macs_plan = 0;
  double ideal_speedup = 1;      // true_macs_full / true_macs_plan
  std::int64_t cache_bytes = 0;  // peak of stored tensors for one image
};

// bytes_per_element: of the run's dtype (4: fp32). rows: batch rows an image takes (2: guided).
// Throws InputError when plan and cost have different numbers of units, or a size is < 1.
PlanCost price(const CachePlan& plan, const ForwardCost& cost, int bytes_per_element = 4,
               int rows = 2);

// The smallest threshold at which the router's plan has at least the wanted ideal speed-up: 0, or
// one of the router's scores. Throws InputError when the router does not fit the run, or when even
// threshold 1 falls short; the message says what it reaches.
double threshold_for_speedup(const Router& router, const RunShape& shape, const ForwardCost& cost,
                             double target_speedup);

}  // namespace l2c
