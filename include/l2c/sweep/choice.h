// Which points of a sweep are worth having.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "l2c/sweep/record.h"

namespace l2c {

// Less is better in both.
struct CostAndLoss {
  double cost = 0;
  double loss = 0;
};

// The points than which no other is better in one and at least as good in the other, by rising
// cost; of equal points all, in their order. Throws InputError for numbers that are not finite.
std::vector<std::size_t> pareto_front(std::span<const CostAndLoss> points);

// Throws InputError for a budget below 0, a speed-up below 1 and numbers that are not finite.
void check_budget(const SweepBudget& budget);

// By the choosing seeds alone. Of a budget of quality: the fastest point (by measured speed-up; of
// equals the better, then the first) that is faster than computing everything, points.front(), and
// within the budget. Of a budget of time: the point with the least Frechet distance (of equals the
// faster) among those with that measured speed-up. Throws InputError: no points, numbers that are
// not finite, a speed-up that is not above 0, what check_budget() throws.
SweepRecommendation recommend(std::span<const SweepPoint> points, const SweepBudget& budget);

// Whether these numbers are outside the budget.
bool missed(const SweepBudget& budget, const SweepNumbers& numbers);

// The recommendation in plain words, by what was measured on the reporting seeds where there is
// such a measurement. One sentence after another, no line breaks.
std::string in_words(const SweepRecord& record, const SweepRecommendation& recommendation);

// "at most +2 % Frechet distance", "at least 1.5x as fast".
std::string in_words(const SweepBudget& budget);

}  // namespace l2c
