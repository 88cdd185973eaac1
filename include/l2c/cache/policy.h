// How to decide what a run reuses. No LibTorch header behind it: a policy that plans needs none.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "l2c/cache/plan.h"

namespace l2c {

class BranchRunner;
class CacheStore;
class Recall;

// The cache side of one run of one micro-batch. Not thread-safe; dies with the run.
class CacheRun {
 public:
  virtual ~CacheRun() = default;
  // The runner for the model call `evaluation`; valid until the next call of begin().
  virtual BranchRunner& begin(const Evaluation& evaluation) = 0;
};

// Immutable and shareable: any number of runs, on any thread, may use one policy.
//
// A policy of your own usually overrides name() and plan() only (examples/custom_policy.cpp). One
// that decides while the run goes on returns nullopt from plan() and overrides start().
class CachePolicy {
 public:
  virtual ~CachePolicy() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  // The whole run's decisions, or nullopt when they depend on tensors. Throws InputError when the
  // policy does not fit the run (a router of another depth, another number of steps).
  [[nodiscard]] virtual std::optional<CachePlan> plan(const RunShape& shape) const = 0;
  // Starts one run. What is reused is what `recall` makes of it; null: what the policy says (its
  // plan, or the latest value). The default carries out plan(), storing only what a later
  // evaluation reads; it throws Error when there is no plan or one of another size. Throws
  // InputError when the recall does not fit the run. `store` and `recall` outlive the returned
  // object.
  [[nodiscard]] virtual std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                        const Recall* recall) const;
  // The most tensors of a branch's size and type that such a run holds at a time beside what a
  // forward pass takes, for a memory limit; an upper bound. The default: what the plan keeps;
  // without a plan, one for every unit.
  [[nodiscard]] virtual int most_stored(const RunShape& shape, const Recall* recall) const;
};

// The policy's plan with what the run demands of every plan, CachePlan::start_anew(); nullopt: the
// policy decides as it goes. Throws like CachePolicy::plan().
std::optional<CachePlan> planned(const CachePolicy& policy, const RunShape& shape);

}  // namespace l2c
