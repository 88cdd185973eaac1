#include "l2c/cache/policy.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "l2c/cache/recall.h"
#include "l2c/cache/runner.h"
#include "l2c/core/error.h"

namespace l2c {

std::unique_ptr<CacheRun> CachePolicy::start(const RunShape& shape, CacheStore& store,
                                             const Recall* recall) const {
  std::optional<CachePlan> whole = planned(*this, shape);
  if (!whole) {
    throw Error(fmt::format(
        "policy '{}' makes no plan and does not say how to run without one: a policy that decides "
        "while the run goes on must override start()",
        name()));
  }
  const auto evaluations = static_cast<int>(shape.evaluations.size());
  if (whole->evaluations() != evaluations || whole->units() != shape.units()) {
    throw Error(fmt::format("policy '{}' planned {} evaluations of {} units, the run has {} of {}",
                            name(), whole->evaluations(), whole->units(), evaluations,
                            shape.units()));
  }
  if (recall != nullptr) whole->recall_by(*recall, shape);
  return std::make_unique<PlanRun>(std::move(*whole), store);
}

int CachePolicy::most_stored(const RunShape& shape, const Recall* recall) const {
  auto whole = planned(*this, shape);
  if (!whole) return shape.units();
  if (recall != nullptr) whole->recall_by(*recall, shape);
  return whole->peak_stored();
}

std::optional<CachePlan> planned(const CachePolicy& policy, const RunShape& shape) {
  auto plan = policy.plan(shape);
  // A plan of another size is found out by start().
  if (plan && plan->evaluations() == static_cast<int>(shape.evaluations.size())) {
    plan->start_anew(shape);
  }
  return plan;
}

}  // namespace l2c
