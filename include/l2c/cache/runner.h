// Carrying out a plan.
#pragma once

#include <cstdint>
#include <vector>

#include "l2c/cache/plan.h"
#include "l2c/cache/plan_places.h"
#include "l2c/cache/policy.h"
#include "l2c/cache/store.h"
#include "l2c/models/branch_runner.h"

namespace l2c {

// Computes, stores and reuses as a plan says. One run, any pass.
class PlanRun final : public CacheRun, private BranchRunner {
 public:
  PlanRun(CachePlan plan, CacheStore& store);
  // Throws Error for an evaluation outside the plan.
  BranchRunner& begin(const Evaluation& evaluation) override;
  [[nodiscard]] const CachePlan& plan() const { return plan_; }

 private:
  BranchValue branch(BranchId id, BranchFunction compute) override;
  CachePlan plan_;
  PlanPlaces places_;
  CacheStore& store_;
  Evaluation evaluation_;
};

// Passes everything on to another runner and counts what was really computed, in the mean over the
// batch's `rows`: a branch of 3 of 8 rows is 3/8 of a branch. In all, and, where `by_unit` is given
// (one entry a unit, outlives this), by adding to the unit's entry.
class CountingRunner final : public BranchRunner {
 public:
  CountingRunner(BranchRunner& inner, std::int64_t rows, std::vector<double>* by_unit = nullptr)
      : inner_(inner), rows_(static_cast<double>(rows)), by_unit_(by_unit) {}
  BranchValue branch(BranchId id, BranchFunction compute) override;
  void trunk(Trunk& trunk) override { inner_.trunk(trunk); }
  [[nodiscard]] double computed() const { return computed_; }

 private:
  BranchRunner& inner_;
  double rows_;
  std::vector<double>* by_unit_;
  double computed_ = 0;
};

}  // namespace l2c
