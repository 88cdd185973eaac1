// Which branches a run computes and which it reuses, decided before the run. Plain data, no
// LibTorch header behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "l2c/core/branch.h"

namespace l2c {

// What a policy may know of a run: shapes, never tensors.
struct RunShape {
  int blocks = 0;
  std::vector<Evaluation> evaluations;  // the model calls of one pass, in order
  int passes = 1;                       // guidance passes with stores of their own
  std::string spacing;                  // the schedule's spacing string, "20" or "ddim20"
  std::string sampler;                  // "ddim" or "ddpm"
  std::string fingerprint;              // of the model; empty: unknown (planning without weights)
  // Batch rows of one image in a model call: of N images in 2 N rows, rows i and N + i are image i
  // (guided and not) and share what is decided.
  int rows_per_image = 1;

  [[nodiscard]] int units() const { return 2 * blocks; }
};

// One bit for each evaluation and unit: computed, or taken from the store (the value stored last).
// An evaluation is a cache step when the policy was free to reuse in it, whether it did or not.
// Evaluations and units are 0-based; the queries do not check them.
class CachePlan {
 public:
  CachePlan() = default;
  // Everything computed, no cache step. Throws InputError unless both are > 0.
  CachePlan(int evaluations, int units);

  [[nodiscard]] int evaluations() const { return evaluations_; }
  [[nodiscard]] int units() const { return units_; }
  [[nodiscard]] bool computes(int evaluation, int unit) const {
    return !reuse_[at(evaluation, unit)];
  }
  [[nodiscard]] bool cache_step(int evaluation) const {
    return cache_step_[static_cast<std::size_t>(evaluation)] != 0;
  }
  // Throws InputError outside the plan.
  void mark_cache_step(int evaluation);
  // Marks the evaluation as a cache step, too. Throws InputError outside the plan, and in the first
  // evaluation, where nothing is stored yet.
  void reuse(int evaluation, int unit);

  // True when a later evaluation reads the value that this evaluation computes: it must be stored.
  [[nodiscard]] bool keeps(int evaluation, int unit) const;
  // True when the unit is reused here and no later evaluation reads the same value again.
  [[nodiscard]] bool last_read(int evaluation, int unit) const;

  [[nodiscard]] int computed() const;
  [[nodiscard]] int reused() const;
  [[nodiscard]] int cache_step_branches() const;  // units * number of cache steps
  // Whether any evaluation reuses the unit, and how many such units there are.
  [[nodiscard]] bool ever_reused(int unit) const;
  [[nodiscard]] int ever_reused() const;
  // The largest number of branch outputs stored at the same time, when each is stored as it is
  // computed and dropped after its last read; or what hold_at_most() said.
  [[nodiscard]] int peak_stored() const;
  // For policies that do not store every reused unit's own value, but one tensor of that size for
  // several blocks: they hold this many at a time. Throws InputError for less than 0.
  void hold_at_most(int tensors);
  [[nodiscard]] bool holds_fewer() const { return held_.has_value(); }  // hold_at_most() was called

  friend bool operator==(const CachePlan&, const CachePlan&) = default;

 private:
  [[nodiscard]] std::size_t at(int evaluation, int unit) const {
    return static_cast<std::size_t>(evaluation) * static_cast<std::size_t>(units_) +
           static_cast<std::size_t>(unit);
  }
  int evaluations_ = 0;
  int units_ = 0;
  std::optional<int> held_;               // unset: each reused unit has a tensor of its own
  std::vector<std::uint8_t> reuse_;       // evaluations * units
  std::vector<std::uint8_t> cache_step_;  // evaluations
};

}  // namespace l2c
