#include "l2c/cache/runner.h"

#include <fmt/format.h>

#include <utility>

#include "l2c/core/error.h"

namespace l2c {

PlanRun::PlanRun(CachePlan plan, CacheStore& store)
    : plan_(std::move(plan)), places_(plan_), store_(store) {}

BranchRunner& PlanRun::begin(const Evaluation& evaluation) {
  if (evaluation.index < 0 || evaluation.index >= plan_.evaluations()) {
    throw Error(fmt::format("evaluation {} is outside the plan, which has evaluations 0 to {}",
                            evaluation.index, plan_.evaluations() - 1));
  }
  evaluation_ = evaluation;
  return *this;
}

BranchValue PlanRun::branch(BranchId id, BranchFunction compute) {
  const int unit = id.unit();
  if (unit < 0 || unit >= plan_.units()) {
    throw Error(
        fmt::format("unit {} is outside the plan, which has units 0 to {}: it was made for "
                    "a model of another depth",
                    unit, plan_.units() - 1));
  }
  if (plan_.computes(evaluation_.index, unit)) {
    const int place = places_.kept_at(evaluation_.index, unit);
    return single(compute(place < 0 ? at::Tensor() : store_.slot({evaluation_.pass, unit, place})));
  }
  BranchValue value;
  for (const PlanPlaces::Read& read : places_.reads(evaluation_.index, unit)) {
    const SlotId slot{evaluation_.pass, unit, read.place};
    value.push_back(Term{store_.stored(slot), read.weight});
    // The value keeps the memory alive until the residual stream has added it.
    if (read.last) store_.drop(slot);
  }
  return value;
}

BranchValue CountingRunner::branch(BranchId id, BranchFunction compute) {
  return inner_.branch(id, [&](at::Tensor out) {
    at::Tensor value = compute(std::move(out));
    const double share = static_cast<double>(value.size(0)) / rows_;
    computed_ += share;
    if (by_unit_ != nullptr) (*by_unit_)[static_cast<std::size_t>(id.unit())] += share;
    return value;
  });
}

}  // namespace l2c
