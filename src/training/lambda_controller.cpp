#include "lambda_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "l2c/core/error.h"

namespace l2c {

namespace {

// Tried out on simulated routers (branches alike or spread over decades, correlated, noisy):
// targets are met after the iterations in which a logit can move by 11, on average. A step of 0.3
// logits at a time is too coarse to settle; 0.1 is not.
constexpr double tolerance = 0.02;
constexpr double dead_zone = 0.01;  // lacks below it are left alone
constexpr double first_gain = 0.5;  // of the trim, for each logit of time
constexpr double least_gain = 0.3;
constexpr double memory = 0.15;         // share of a new observation
constexpr double follow = 0.2;          // share of the way to the forecast in one control
constexpr double first_visits = 3;      // of each row, before the first forecast
constexpr double travel = 3;            // logits that weights move before the trim may judge
constexpr double lag = 1;               // logits over which the speed-up's trend is taken
constexpr double lead = 2;              // logits that the trend is carried on
constexpr double patience = 1;          // logits for which a settled router must stay so
constexpr double least_controls = 3;    // the same, in controls
constexpr double steady = 1.5;          // ratio of lambdas that counts as the same
constexpr double least_slope = 1e-6;    // of the sigmoid, where it divides
constexpr double least_distance = 0.1;  // 1 - weight, where it divides

}  // namespace

double RouterPrice::largest() const {
  return speedup(cache_steps * std::accumulate(unit_macs.begin(), unit_macs.end(), 0.0));
}

LambdaController::LambdaController(RouterPrice price, double target, double threshold,
                                   double learning_rate, int rows_at_once)
    : price_(std::move(price)),
      target_(target),
      threshold_(threshold),
      interval_(2 * price_.cache_steps / rows_at_once),
      pace_(2 * learning_rate),
      visits_(static_cast<std::size_t>(price_.cache_steps), 0),
      prices_(visits_.size() * price_.unit_macs.size(), 0) {
  state_.gain = first_gain;
}

void LambdaController::observe(int cache_step, std::span<const double> weights,
                               std::span<const double> gradient) {
  const auto step = static_cast<std::size_t>(cache_step);
  const std::size_t units = price_.unit_macs.size();
  visits_.at(step) += 1;
  const double share = std::max(memory, 1 / visits_[step]);
  for (std::size_t unit = 0; unit < units; ++unit) {
    const double weight = weights[unit];
    const double of_error =
        gradient[unit] / std::max(weight * (1 - weight), least_slope) - state_.lambda;
    const double at_threshold = -of_error * (1 - threshold_) / std::max(1 - weight, least_distance);
    double& price = prices_[step * units + unit];
    price += share * (at_threshold - price);
  }
}

double LambdaController::saved_at(double lambda) const {
  const std::size_t units = price_.unit_macs.size();
  double saved = 0;
  for (std::size_t i = 0; i < prices_.size(); ++i) {
    if (prices_[i] <= lambda) saved += price_.unit_macs[i % units];
  }
  return saved;
}

// The smallest lambda with the target's speed-up; 0 when branches that cost nothing to reuse are
// enough.
double LambdaController::forecast() const {
  std::vector<double> candidates = prices_;
  std::sort(candidates.begin(), candidates.end());
  const auto found = std::partition_point(candidates.begin(), candidates.end(), [&](double lambda) {
    return price_.speedup(saved_at(lambda)) < target_;
  });
  return std::max(found == candidates.end() ? candidates.back() : *found, 0.0);
}

bool LambdaController::due(std::int64_t iterations_done) const {
  return iterations_done % interval_ == 0;
}

void LambdaController::control(std::int64_t iterations_done, double speedup) {
  if (!due(iterations_done)) return;
  const bool seen = std::all_of(visits_.begin(), visits_.end(),
                                [](double visits) { return visits >= first_visits; });
  if (!seen) return;
  state_.controls += 1;
  const double slow = state_.controls == 1 ? std::log(speedup) : state_.slow;
  state_.slow = slow + pace_ / (lag + pace_) * (std::log(speedup) - slow);
  if (state_.controls * pace_ > travel) trim(speedup);
  const double aim = forecast() * std::exp(state_.trim);
  if (aim > 0) {
    state_.lambda = state_.lambda > 0 ? state_.lambda * std::pow(aim / state_.lambda, follow) : aim;
  }
  watch(speedup);
}

void LambdaController::trim(double speedup) {
  const double trend = (std::log(speedup) - state_.slow) / lag;
  const double lack = std::log(target_ / speedup) - lead * trend;
  if (std::abs(lack) < dead_zone) return;
  const double sign = lack > 0 ? 1 : -1;
  if (state_.sign * sign < 0) state_.gain = std::max(state_.gain / 2, least_gain);
  state_.sign = sign;
  state_.trim += state_.gain * pace_ * lack / std::log(price_.largest());
}

void LambdaController::watch(double speedup) {
  if (!within(speedup)) {
    state_.settled_for = 0;
    return;
  }
  const bool first = state_.settled_for == 0;
  state_.lowest = first ? state_.lambda : std::min(state_.lowest, state_.lambda);
  state_.highest = first ? state_.lambda : std::max(state_.highest, state_.lambda);
  if (state_.highest > steady * state_.lowest) {
    state_.lowest = state_.highest = state_.lambda;
    state_.settled_for = 0;
  }
  state_.settled_for += 1;
}

bool LambdaController::settled() const {
  return state_.settled_for >= std::max(least_controls, patience / pace_);
}

bool LambdaController::within(double speedup) const {
  return std::abs(speedup / target_ - 1) <= tolerance;
}

std::vector<double> LambdaController::save() const {
  std::vector<double> saved{state_.lambda, state_.trim,     state_.gain,
                            state_.sign,   state_.controls, state_.settled_for,
                            state_.lowest, state_.highest,  state_.slow};
  saved.insert(saved.end(), visits_.begin(), visits_.end());
  saved.insert(saved.end(), prices_.begin(), prices_.end());
  return saved;
}

void LambdaController::restore(std::span<const double> saved) {
  if (saved.size() != save().size()) {
    throw InputError(fmt::format("the checkpoint's state of lambda has {} numbers instead of {}",
                                 saved.size(), save().size()));
  }
  state_ = {.lambda = saved[0],
            .trim = saved[1],
            .gain = saved[2],
            .sign = saved[3],
            .controls = saved[4],
            .settled_for = saved[5],
            .lowest = saved[6],
            .highest = saved[7],
            .slow = saved[8]};
  const auto visits = saved.subspan(9, visits_.size());
  const auto prices = saved.subspan(9 + visits_.size());
  std::copy(visits.begin(), visits.end(), visits_.begin());
  std::copy(prices.begin(), prices.end(), prices_.begin());
}

}  // namespace l2c
