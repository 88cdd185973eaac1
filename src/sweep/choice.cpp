#include "l2c/sweep/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "l2c/core/error.h"

namespace l2c {

namespace {

void check_finite(const CostAndLoss& point, std::size_t number) {
  if (std::isfinite(point.cost) && std::isfinite(point.loss)) return;
  throw InputError(fmt::format("point {} has cost {} and loss {}: both must be finite numbers",
                               number, point.cost, point.loss));
}

void check_points(std::span<const SweepPoint> points) {
  if (points.empty()) throw InputError("no points to choose from");
  for (const auto& point : points) {
    const SweepNumbers& numbers = point.choosing;
    if (std::isfinite(numbers.frechet.mean) && std::isfinite(numbers.above_full.mean) &&
        std::isfinite(numbers.speedup) && numbers.speedup > 0) {
      continue;
    }
    throw InputError(
        fmt::format("{}: a number that is not finite, or a speed-up that is not above 0 (Frechet "
                    "distance {}, speed-up {}): nothing can be chosen by it",
                    point.name, numbers.frechet.mean, numbers.speedup));
  }
}

// The point after computing everything, among those that `fits` takes, that comes first by `key`.
template <typename Fits, typename Key>
std::optional<std::size_t> first_by(std::span<const SweepPoint> points, const Fits& fits,
                                    const Key& key) {
  std::optional<std::size_t> best;
  for (std::size_t k = 1; k < points.size(); ++k) {
    if (!fits(points[k])) continue;
    if (!best || key(points[k]) < key(points[*best])) best = k;
  }
  return best;
}

SweepRecommendation by_quality(std::span<const SweepPoint> points, const SweepBudget& budget) {
  const auto faster = [](const SweepPoint& p) { return p.choosing.speedup > 1; };
  const auto loss = [](const SweepPoint& p) { return p.choosing.above_full.mean; };
  SweepRecommendation found{.budget = budget, .point = {}, .reason = {}};
  found.point = first_by(
      points, [&](const SweepPoint& p) { return faster(p) && loss(p) <= budget.value; },
      [&](const SweepPoint& p) {
        return std::tuple(-p.choosing.speedup, p.choosing.frechet.mean);
      });
  if (found.point) return found;
  const auto closest = first_by(points, faster, loss);
  found.reason = closest ? fmt::format("the best of the faster ones, {}, is {:+.1f} %",
                                       points[*closest].name, loss(points[*closest]))
                         : std::string("nothing was faster than computing everything");
  return found;
}

SweepRecommendation by_speedup(std::span<const SweepPoint> points, const SweepBudget& budget) {
  const auto speedup = [](const SweepPoint& p) { return p.choosing.speedup; };
  SweepRecommendation found{.budget = budget, .point = {}, .reason = {}};
  found.point = first_by(
      points, [&](const SweepPoint& p) { return speedup(p) >= budget.value; },
      [&](const SweepPoint& p) {
        return std::tuple(p.choosing.frechet.mean, -p.choosing.speedup);
      });
  if (found.point) return found;
  const auto fastest = first_by(
      points, [](const SweepPoint&) { return true; },
      [&](const SweepPoint& p) { return -speedup(p); });
  found.reason = fastest ? fmt::format("the fastest, {}, reaches {:.2f}x", points[*fastest].name,
                                       speedup(points[*fastest]))
                         : std::string("there is nothing but computing everything");
  return found;
}

}  // namespace

std::vector<std::size_t> pareto_front(std::span<const CostAndLoss> points) {
  for (std::size_t k = 0; k < points.size(); ++k) check_finite(points[k], k);
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tie(points[a].cost, points[a].loss) < std::tie(points[b].cost, points[b].loss);
  });
  std::vector<std::size_t> front;
  for (const auto number : order) {
    const auto& point = points[number];
    if (!front.empty()) {
      const auto& last = points[front.back()];
      const bool equal = point.cost == last.cost && point.loss == last.loss;
      if (!equal && point.loss >= last.loss) continue;
    }
    front.push_back(number);
  }
  return front;
}

void check_budget(const SweepBudget& budget) {
  const double least = budget.kind == SweepBudget::Kind::quality ? 0 : 1;
  if (std::isfinite(budget.value) && budget.value >= least) return;
  throw InputError(
      budget.kind == SweepBudget::Kind::quality
          ? fmt::format("a budget of {} %: give a number of at least 0", budget.value)
          : fmt::format("a speed-up of at least {}: give a number of at least 1", budget.value));
}

bool missed(const SweepBudget& budget, const SweepNumbers& numbers) {
  return budget.kind == SweepBudget::Kind::quality ? numbers.above_full.mean > budget.value
                                                   : numbers.speedup < budget.value;
}

SweepRecommendation recommend(std::span<const SweepPoint> points, const SweepBudget& budget) {
  check_budget(budget);
  check_points(points);
  return budget.kind == SweepBudget::Kind::quality ? by_quality(points, budget)
                                                   : by_speedup(points, budget);
}

}  // namespace l2c
