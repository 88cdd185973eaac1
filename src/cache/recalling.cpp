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
                                           const Recall* /*recall*/) const {
  return policy_->start(shape, store, recall_.get());
}

int Recalling::most_stored(const RunShape& shape, const Recall* /*recall*/) const {
  return policy_->most_stored(shape, recall_.get());
}

}  // namespace l2c
