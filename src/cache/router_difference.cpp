#include "l2c/cache/router_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "l2c/cache/policies.h"
#include "l2c/core/error.h"

namespace l2c {

namespace {

void check(const Router& a, const Router& b, const std::vector<double>& thresholds) {
  if (a.rows() != b.rows() || a.units() != b.units()) {
    throw InputError(
        fmt::format("routers of unlike sizes: {} steps of {} blocks, and {} steps of {} blocks",
                    a.rows(), a.units() / 2, b.rows(), b.units() / 2));
  }
  for (const double threshold : thresholds) {
    if (threshold >= 0 && threshold <= 1) continue;
    throw InputError(fmt::format("the threshold {} is outside [0, 1]", threshold));
  }
}

// A row of the routers, and which of them may reuse in it.
struct Step {
  int row = 0;
  bool first = true;
  bool second = true;
};

std::vector<Step> steps_of(const Router& a, const Router& b, const std::optional<RunShape>& shape) {
  std::vector<Step> steps;
  if (!shape) {
    for (int row = 0; row < a.rows(); ++row) steps.push_back({.row = row});
    return steps;
  }
  const auto first = router_cache_steps(a.info().group, *shape);
  const auto second = router_cache_steps(b.info().group, *shape);
  for (std::size_t k = 0; k < shape->evaluations.size(); ++k) {
    steps.push_back({.row = shape->evaluations[k].row, .first = first[k], .second = second[k]});
  }
  return steps;
}

DecisionDifference decisions(const Router& a, const Router& b, double threshold,
                             const std::vector<Step>& steps) {
  DecisionDifference result{.threshold = threshold,
                            .of = static_cast<int>(steps.size()) * a.units()};
  const auto limit = static_cast<float>(threshold);
  for (const Step& step : steps) {
    for (int unit = 0; unit < a.units(); ++unit) {
      const bool first = !step.first || a.score(step.row, unit) > limit;
      const bool second = !step.second || b.score(step.row, unit) > limit;
      if (first != second) ++result.differing;
    }
  }
  return result;
}

std::vector<RouterFact> facts(const RouterInfo& a, const RouterInfo& b) {
  std::vector<RouterFact> found;
  const auto add = [&](const char* name, const std::string& first, const std::string& second) {
    if (first != second) found.push_back({.name = name, .first = first, .second = second});
  };
  const auto number = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string();
  };
  add("group", fmt::format("{}", a.group), fmt::format("{}", b.group));
  add("spacing", a.spacing, b.spacing);
  add("sampler", a.sampler, b.sampler);
  add("recall", a.recall, b.recall);
  add("threshold", number(a.threshold), number(b.threshold));
  add("model_fingerprint", a.model_fingerprint, b.model_fingerprint);
  return found;
}

}  // namespace

RouterDifference compare_routers(const Router& a, const Router& b,
                                 const std::vector<double>& thresholds,
                                 const std::optional<RunShape>& shape) {
  check(a, b, thresholds);
  RouterDifference result{.of = a.rows() * a.units(), .facts = facts(a.info(), b.info())};
  double sum = 0;
  for (int row = 0; row < a.rows(); ++row) {
    for (int unit = 0; unit < a.units(); ++unit) {
      const double apart = std::abs(double{a.logit(row, unit)} - double{b.logit(row, unit)});
      result.largest = std::max(result.largest, apart);
      if (apart > 0) ++result.differing;
      sum += apart;
    }
  }
  result.mean = sum / result.of;
  const auto steps = steps_of(a, b, shape);
  for (const double threshold : thresholds) {
    result.decisions.push_back(decisions(a, b, threshold, steps));
  }
  return result;
}

}  // namespace l2c
