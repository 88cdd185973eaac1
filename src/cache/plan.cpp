#include "l2c/cache/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "l2c/cache/recall.h"
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
  forget_recall();
}

void CachePlan::check_evaluations(const RunShape& shape) const {
  if (static_cast<int>(shape.evaluations.size()) == evaluations_) return;
  throw InputError(fmt::format("the plan has {} evaluations, the run {}", evaluations_,
                               shape.evaluations.size()));
}

void CachePlan::start_anew(const RunShape& shape) {
  check_evaluations(shape);
  for (int evaluation = 0; evaluation < evaluations_; ++evaluation) {
    const auto row = static_cast<std::size_t>(evaluation);
    if (!shape.evaluations[row].starts_anew || cache_step_[row] == 0) continue;
    if (!terms_.empty()) {
      throw Error(fmt::format(
          "the plan's recall was made for another run: evaluation {} starts anew in this one",
          evaluation));
    }
    cache_step_[row] = 0;
    std::fill_n(reuse_.begin() + static_cast<std::ptrdiff_t>(at(evaluation, 0)), units_,
                std::uint8_t{0});
  }
}

void CachePlan::recall_by(const Recall& recall, const RunShape& shape) {
  check_evaluations(shape);
  recall.check(shape);
  forget_recall();
  start_anew(shape);
  if (held_) {
    check_for_ranges(recall);
    depth_ = recall.depth();
    return;
  }
  terms_.assign(reuse_.size(), {});
  last_readers_.assign(reuse_.size(), -1);
  bool only_latest = true;
  for (int unit = 0; unit < units_; ++unit) only_latest &= recall_unit(recall, shape, unit);
  if (only_latest) forget_recall();  // so that plans that do the same are equal
}

void CachePlan::forget_recall() {
  terms_.clear();
  last_readers_.clear();
  depth_ = 1;
}

bool CachePlan::recall_unit(const Recall& recall, const RunShape& shape, int unit) {
  bool only_latest = true;
  std::vector<Moment> known;  // latest first
  for (int evaluation = 0; evaluation < evaluations_; ++evaluation) {
    const Evaluation& in_run = shape.evaluations[static_cast<std::size_t>(evaluation)];
    const Moment now{evaluation, in_run.time};
    if (in_run.starts_anew) known.clear();
    if (computes(evaluation, unit)) {
      known.insert(known.begin(), now);
      if (static_cast<int>(known.size()) > recall.depth()) known.pop_back();
      continue;
    }
    const std::vector<double> weights = checked_weights(recall, unit, known, now);
    auto& terms = terms_[at(evaluation, unit)];
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] == 0) continue;
      terms.push_back({known[i].evaluation, static_cast<float>(weights[i])});
      last_readers_[at(known[i].evaluation, unit)] = evaluation;
    }
    only_latest = only_latest && terms == std::vector<RecallTerm>{{known[0].evaluation, 1}};
  }
  return only_latest;
}

int CachePlan::last_computed(int before, int unit) const {
  int evaluation = before;
  while (!computes(evaluation, unit)) --evaluation;
  return evaluation;
}

std::vector<RecallTerm> CachePlan::terms(int evaluation, int unit) const {
  if (computes(evaluation, unit)) return {};
  if (terms_.empty()) return {{last_computed(evaluation, unit), 1}};
  return terms_[at(evaluation, unit)];
}

int CachePlan::last_reader(int evaluation, int unit) const {
  if (!computes(evaluation, unit)) return -1;
  if (!last_readers_.empty()) return last_readers_[at(evaluation, unit)];
  int next = evaluation + 1;
  while (next < evaluations_ && !computes(next, unit)) ++next;
  return next == evaluation + 1 ? -1 : next - 1;
}

int CachePlan::computed() const { return evaluations_ * units_ - reused(); }

int CachePlan::reused() const {
  return static_cast<int>(std::count(reuse_.begin(), reuse_.end(), std::uint8_t{1}));
}

int CachePlan::cache_step_branches() const {
  return units_ *
         static_cast<int>(std::count(cache_step_.begin(), cache_step_.end(), std::uint8_t{1}));
}

void CachePlan::hold_at_most(int tensors, int ranges) {
  if (tensors < 0 || ranges < 0) {
    throw InputError(
        fmt::format("a plan cannot hold {} tensors of {} ranges of blocks", tensors, ranges));
  }
  forget_recall();
  held_ = tensors;
  ranges_ = ranges;
}

int CachePlan::peak_stored() const {
  if (held_) return depth_ == 1 ? *held_ : ranges_ * depth_;
  int held = 0;
  int peak = 0;
  for (int evaluation = 0; evaluation < evaluations_; ++evaluation) {
    for (int unit = 0; unit < units_; ++unit) {
      held += keeps(evaluation, unit) ? 1 : 0;
      peak = std::max(peak, held);
      for (const RecallTerm& term : terms(evaluation, unit)) {
        held -= last_reader(term.evaluation, unit) == evaluation ? 1 : 0;
      }
    }
  }
  return peak;
}

}  // namespace l2c
