#include "l2c/cache/recalling.h"

#include <fmt/format.h>

#include <utility>

#include "l2c/core/error.h"

namespace l2c {

Recalling::Recalling(std::shared_ptr<const CachePolicy> policy,
                     std::shared_ptr<const Recall> recall)
    : policy_(std::move(policy)), recall_(std::move(recall)) {
  if (!policy_ || !recall_) throw InputError("a policy with a recall needs both of them");
}

std::string Recalling::name() const {
  return fmt::format("{}, {}", policy_->name(), recall_->name());
}

std::optional<CachePlan> Recalling::plan(const RunShape& shape) const {
  auto plan = policy_->plan(shape);
  if (plan) plan->recall_by(*recall_, shape);
  return plan;
}

std::unique_ptr<CacheRun> Recalling::start(const RunShape& shape, CacheStore& store,
                                           const Recall&) const {
  // A plan holds the recall already, the latest value too, which start() would leave to the policy.
  // Policies that keep what ranges of blocks add carry out their plans themselves.
  const auto planned = policy_->plan(shape);
  if (planned && !planned->holds_fewer()) return CachePolicy::start(shape, store, Latest());
  return policy_->start(shape, store, *recall_);
}

}  // namespace l2c
