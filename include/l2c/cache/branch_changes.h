// How much branch outputs change from step to step, and SmoothCache schedules from that.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "l2c/cache/policy.h"
#include "l2c/cache/smooth_cache.h"

namespace l2c {

// Relative changes of a model's branches between evaluations that lie 1 ... lookahead apart, the
// mean over all micro-batches that were measured: sum |earlier - later| / sum |later| over a whole
// micro-batch (SmoothCache's rel_l1_loss). Not thread-safe.
class BranchChanges {
 public:
  // Throws InputError unless evaluations and lookahead are >= 1 and units are two for each block.
  BranchChanges(int evaluations, int units, int lookahead);

  [[nodiscard]] int evaluations() const { return evaluations_; }
  [[nodiscard]] int units() const { return units_; }
  [[nodiscard]] int lookahead() const { return lookahead_; }
  // From `evaluation` to the one that many later. Throws Error outside the table.
  void add(int evaluation, int distance, int unit, double change);
  // Throws Error outside the table; 0 where nothing was added.
  [[nodiscard]] double mean(int evaluation, int distance, int unit) const;

  // SmoothCache's schedule (official code: calibration_helper.py): for each kind of branch, with
  // the change averaged over the blocks, from the first evaluation on: the value computed here is
  // reused in as many evaluations, up to `lookahead`, as the change to the last of them is at most
  // `threshold`. The first and the last evaluation compute everything. Throws InputError for a
  // threshold that is negative or no number.
  [[nodiscard]] SmoothCache::Schedule smooth_cache(double threshold) const;

 private:
  struct Mean {
    double sum = 0;
    int count = 0;
  };
  [[nodiscard]] std::size_t at(int evaluation, int distance, int unit) const;
  [[nodiscard]] double mean_over_blocks(int evaluation, int distance, BranchKind kind) const;
  [[nodiscard]] std::vector<int> scan(BranchKind kind, double threshold) const;
  int evaluations_;
  int units_;
  int lookahead_;
  std::vector<Mean> means_;
};

// Computes everything and notes in `changes`, which outlives all runs, how much the branches
// change. Keeps `lookahead` outputs of every branch.
class MeasureChanges final : public CachePolicy {
 public:
  explicit MeasureChanges(BranchChanges& changes) : changes_(changes) {}
  [[nodiscard]] std::string name() const override { return "measure changes"; }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape&) const override { return {}; }
  // Throws InputError for a run of other evaluations or units than the table's.
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                const Recall* recall) const override;

 private:
  BranchChanges& changes_;
  std::shared_ptr<std::mutex> adding_ = std::make_shared<std::mutex>();  // runs share it
};

}  // namespace l2c
