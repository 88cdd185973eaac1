#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/cache/pricing.h"
#include "l2c/core/error.h"

namespace l2c {

namespace {

double speedup_at(double threshold, const Router& router, const RunShape& shape,
                  const ForwardCost& cost) {
  return price(*LearnedRouter(router, threshold).plan(shape), cost).ideal_speedup;
}

// The thresholds at which a plan changes: equality reuses, so each score is the smallest threshold
// that reuses its branch. Ascending, 0 first.
std::vector<double> candidates(const Router& router, const RunShape& shape) {
  std::vector<double> thresholds = {0};
  const CachePlan plan = *LearnedRouter(router, 1).plan(shape);
  for (int k = 0; k < plan.evaluations(); ++k) {
    if (!plan.cache_step(k)) continue;
    const int row = shape.evaluations[static_cast<std::size_t>(k)].row;
    for (int unit = 0; unit < router.units(); ++unit) {
      thresholds.push_back(static_cast<double>(router.score(row, unit)));
    }
  }
  std::sort(thresholds.begin(), thresholds.end());
  thresholds.erase(std::unique(thresholds.begin(), thresholds.end()), thresholds.end());
  return thresholds;
}

}  // namespace

double threshold_for_speedup(const Router& router, const RunShape& shape, const ForwardCost& cost,
                             double target_speedup) {
  if (!std::isfinite(target_speedup) || target_speedup <= 0) {
    throw InputError(
        fmt::format("the speed-up to reach must be a number above 0, not {}", target_speedup));
  }
  const std::vector<double> thresholds = candidates(router, shape);
  // A larger threshold reuses whatever a smaller one does.
  const auto found =
      std::partition_point(thresholds.begin(), thresholds.end(), [&](double threshold) {
        return speedup_at(threshold, router, shape, cost) < target_speedup;
      });
  if (found == thresholds.end()) {
    throw InputError(fmt::format(
        "router {} cannot reach a speed-up of {}: even threshold 1, which reuses every branch of "
        "the cache steps, reaches only {:.3f}",
        router.source(), target_speedup, speedup_at(1, router, shape, cost)));
  }
  return *found;
}

}  // namespace l2c
