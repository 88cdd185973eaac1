#include "l2c/cache/plan_places.h"

#include <algorithm>
#include <numeric>

namespace l2c {

namespace {

constexpr int nobody = -1;

// The evaluation whose value lies there, a place each.
using Holders = std::vector<int>;

int first_free(const Holders& holders) {
  const auto found = std::find(holders.begin(), holders.end(), nobody);
  return static_cast<int>(found - holders.begin());
}

}  // namespace

PlanPlaces::PlanPlaces(const CachePlan& plan)
    : places_(static_cast<std::size_t>(plan.units())),
      entries_(places_.size() * static_cast<std::size_t>(plan.evaluations())) {
  for (int unit = 0; unit < plan.units(); ++unit) fill(plan, unit);
}

void PlanPlaces::fill(const CachePlan& plan, int unit) {
  Holders holders;
  for (int evaluation = 0; evaluation < plan.evaluations(); ++evaluation) {
    Entry& entry = entries_[at(evaluation, unit)];
    for (const RecallTerm& term : plan.terms(evaluation, unit)) {
      const auto found = std::find(holders.begin(), holders.end(), term.evaluation);
      const bool last = plan.last_reader(term.evaluation, unit) == evaluation;
      entry.reads.push_back({static_cast<int>(found - holders.begin()), term.weight, last});
    }
    for (const Read& read : entry.reads) {
      if (read.last) holders[static_cast<std::size_t>(read.place)] = nobody;
    }
    if (!plan.computes(evaluation, unit)) continue;
    entry.open = first_free(holders);
    if (!plan.keeps(evaluation, unit)) continue;
    entry.kept = entry.open;
    if (entry.kept == static_cast<int>(holders.size())) holders.push_back(nobody);
    holders[static_cast<std::size_t>(entry.kept)] = evaluation;
  }
  const auto places = static_cast<int>(holders.size());
  places_[static_cast<std::size_t>(unit)] = places;
  for (int evaluation = 0; evaluation < plan.evaluations(); ++evaluation) {
    Entry& entry = entries_[at(evaluation, unit)];
    if (entry.open >= places) entry.open = -1;
  }
}

int PlanPlaces::in_all() const { return std::accumulate(places_.begin(), places_.end(), 0); }

}  // namespace l2c
