#include "l2c/cache/pricing.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>

#include "l2c/core/error.h"

namespace l2c {

namespace {

void check_sizes(const CachePlan& plan, const ForwardCost& cost, int bytes_per_element, int rows) {
  if (static_cast<std::size_t>(plan.units()) != cost.units.size()) {
    throw InputError(
        fmt::format("the plan has {} units, the model {}: it was made for a model of another depth",
                    plan.units(), cost.units.size()));
  }
  if (bytes_per_element < 1 || rows < 1) {
    throw InputError(
        fmt::format("a branch output of {} rows with {} bytes an element cannot be priced", rows,
                    bytes_per_element));
  }
}

}  // namespace

PlanCost price(const CachePlan& plan, const ForwardCost& cost, int bytes_per_element, int rows) {
  check_sizes(plan, cost, bytes_per_element, rows);
  PlanCost price;
  price.computed = plan.computed();
  price.reused = plan.reused();
  price.cache_step_branches = plan.cache_step_branches();
  const BranchMacs forward = cost.total();
  price.paper_macs_full = forward.paper * plan.evaluations();
  price.true_macs_full = forward.truth * plan.evaluations();
  price.paper_macs_plan = price.true_macs_plan = cost.rest * plan.evaluations();
  for (int unit = 0; unit < plan.units(); ++unit) {
    int computed = 0;
    for (int k = 0; k < plan.evaluations(); ++k) computed += plan.computes(k, unit) ? 1 : 0;
    const BranchMacs& macs = cost.units[static_cast<std::size_t>(unit)];
    price.paper_macs_plan += macs.paper * computed;
    price.true_macs_plan += macs.truth * computed;
  }
  if (price.true_macs_plan > 0) price.ideal_speedup = price.true_macs_full / price.true_macs_plan;
  price.cache_bytes =
      std::int64_t{plan.peak_stored()} * cost.branch_elements * rows * bytes_per_element;
  return price;
}

}  // namespace l2c
