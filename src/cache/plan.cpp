#include "l2c/cache/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "l2c/core/error.h"

namespace l2c {

CachePlan::CachePlan(int evaluations, int units) : evaluations_(evaluations), units_(units) {
  if (evaluations < 1 || units < 1) {
    throw InputError(fmt::format(
        "a cache plan needs at least 1 evaluation and 1 unit, not {} and {}", evaluations, units));
  }
  const auto rows = static_cast<std::size_t>(evaluations);
  reuse_.resize(rows * static_cast<std::size_t>(units));
  cache_step_.resize(rows);
}

void CachePlan::mark_cache_step(int evaluation) {
  if (evaluation < 0 || evaluation >= evaluations_) {
    throw InputError(fmt::format("evaluation {} is outside the plan, which has evaluations 0 to {}",
                                 evaluation, evaluations_ - 1));
  }
  cache_step_[static_cast<std::size_t>(evaluation)] = 1;
}

void CachePlan::reuse(int evaluation, int unit) {
  if (unit < 0 || unit >= units_) {
    throw InputError(
        fmt::format("unit {} is outside the plan, which has units 0 to {}", unit, units_ - 1));
  }
  if (evaluation == 0) {
    throw InputError(
        fmt::format("unit {} cannot be reused in evaluation 0: it was never computed before, so "
                    "nothing is stored; let the first evaluation compute everything",
                    unit));
  }
  mark_cache_step(evaluation);
  reuse_[at(evaluation, unit)] = 1;
}

// Every evaluation either computes a unit or reuses it, so whether the value at hand is read again
// is decided by the next evaluation alone.
bool CachePlan::keeps(int evaluation, int unit) const {
  return computes(evaluation, unit) && evaluation + 1 < evaluations_ &&
         !computes(evaluation + 1, unit);
}

bool CachePlan::last_read(int evaluation, int unit) const {
  return !computes(evaluation, unit) &&
         (evaluation + 1 == evaluations_ || computes(evaluation + 1, unit));
}

int CachePlan::computed() const { return evaluations_ * units_ - reused(); }

int CachePlan::reused() const {
  return static_cast<int>(std::count(reuse_.begin(), reuse_.end(), std::uint8_t{1}));
}

int CachePlan::cache_step_branches() const {
  return units_ *
         static_cast<int>(std::count(cache_step_.begin(), cache_step_.end(), std::uint8_t{1}));
}

bool CachePlan::ever_reused(int unit) const {
  for (int evaluation = 0; evaluation < evaluations_; ++evaluation) {
    if (!computes(evaluation, unit)) return true;
  }
  return false;
}

int CachePlan::ever_reused() const {
  int units = 0;
  for (int unit = 0; unit < units_; ++unit) units += ever_reused(unit) ? 1 : 0;
  return units;
}

void CachePlan::hold_at_most(int tensors) {
  if (tensors < 0) throw InputError(fmt::format("a plan cannot hold {} tensors", tensors));
  held_ = tensors;
}

int CachePlan::peak_stored() const {
  if (held_) return *held_;
  int held = 0;
  int peak = 0;
  for (int evaluation = 0; evaluation < evaluations_; ++evaluation) {
    for (int unit = 0; unit < units_; ++unit) {
      // A unit that is computed was dropped before, if it was held at all: keeping adds one.
      held += keeps(evaluation, unit) ? 1 : 0;
      peak = std::max(peak, held);
      held -= last_read(evaluation, unit) ? 1 : 0;
    }
  }
  return peak;
}

}  // namespace l2c
