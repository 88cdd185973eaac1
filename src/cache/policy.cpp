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
  std::optional<CachePlan> planned = plan(shape);
  if (!planned) {
    throw Error(fmt::format(
        "policy '{}' makes no plan and does not say how to run without one: a policy that decides "
        "while the run goes on must override start()",
        name()));
  }
  const auto evaluations = static_cast<int>(shape.evaluations.size());
  if (planned->evaluations() != evaluations || planned->units() != shape.units()) {
    throw Error(fmt::format("policy '{}' planned {} evaluations of {} units, the run has {} of {}",
                            name(), planned->evaluations(), planned->units(), evaluations,
                            shape.units()));
  }
  if (recall != nullptr) planned->recall_by(*recall, shape);
  return std::make_unique<PlanRun>(std::move(*planned), store);
}

int CachePolicy::most_stored(const RunShape& shape, const Recall* recall) const {
  auto planned = plan(shape);
  if (!planned) return shape.units();
  if (recall != nullptr) planned->recall_by(*recall, shape);
  return planned->peak_stored();
}

}  // namespace l2c
