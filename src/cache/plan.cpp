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
  terms_.clear();
}

void CachePlan::recall_by(const Recall& recall, const RunShape& shape) {
  if (static_cast<int>(shape.evaluations.size()) != evaluations_) {
    throw InputError(fmt::format("the plan has {} evaluations, the run {}", evaluations_,
                                 shape.evaluations.size()));
  }
  const auto moment = [&](int evaluation) {
    return Moment{evaluation, shape.evaluations[static_cast<std::size_t>(evaluation)].time};
  };
  recall.check(shape);
  if (held_) depth_ = recall.depth();
  terms_.assign(reuse_.size(), {});
  bool only_latest = true;
  for (int unit = 0; unit < units_; ++unit) {
    std::vector<Moment> known;  // latest first
    for (int evaluation = 0; evaluation < evaluations_; ++evaluation) {
      if (computes(evaluation, unit)) {
        known.insert(known.begin(), moment(evaluation));
        if (static_cast<int>(known.size()) > recall.depth()) known.pop_back();
        continue;
      }
      const std::vector<double> weights = recall.weights(unit, known, moment(evaluation));
      auto& terms = terms_[at(evaluation, unit)];
      for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] == 0) continue;
        terms.push_back({known[i].evaluation, static_cast<float>(weights[i])});
      }
      only_latest = only_latest && terms == std::vector<RecallTerm>{{known[0].evaluation, 1}};
    }
  }
  if (only_latest) terms_.clear();  // so that plans that do the same are equal
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
  int last = -1;
  for (int later = evaluation + 1; later < evaluations_; ++later) {
    if (terms_.empty() && computes(later, unit)) break;  // nobody looks back further
    for (const RecallTerm& term : terms(later, unit)) {
      if (term.evaluation == evaluation) last = later;
    }
  }
  return last;
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
  if (tensors < 0 || ranges < 0)
    throw InputError(fmt::format("a plan cannot hold {} tensors", tensors));
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
