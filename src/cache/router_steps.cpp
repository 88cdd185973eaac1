#include "l2c/cache/router_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/core/error.h"

namespace l2c {

namespace {

// A cache step's row, at its timestep.
struct Trained {
  double time = 0;
  int row = 0;
};

// Of the schedule the router was trained for, whose timesteps are evenly spread (DiT's spacing of
// "N" steps to within rounding); ascending.
std::vector<Trained> trained_rows(const Router& router) {
  const int steps = router.rows();
  RunShape shape;
  for (int row = steps - 1; row >= 0; --row) {
    const double time = steps == 1 ? 0 : 999.0 * row / (steps - 1);
    shape.evaluations.push_back({.index = 0, .count = steps, .time = time, .row = row, .pass = 0});
  }
  const auto cache_steps = router_cache_steps(router.info().group, shape);
  std::vector<Trained> rows;
  for (std::size_t k = cache_steps.size(); k-- > 0;) {
    if (cache_steps[k]) rows.push_back({shape.evaluations[k].time, shape.evaluations[k].row});
  }
  return rows;
}

float interpolated(const Router& router, const std::vector<Trained>& rows, double time, int unit) {
  const auto above = std::find_if(rows.begin(), rows.end(),
                                  [&](const Trained& trained) { return trained.time >= time; });
  if (above == rows.begin()) return router.logit(rows.front().row, unit);
  if (above == rows.end()) return router.logit(rows.back().row, unit);
  const Trained& below = *(above - 1);
  const double share = (time - below.time) / (above->time - below.time);
  return static_cast<float>((1 - share) * router.logit(below.row, unit) +
                            share * router.logit(above->row, unit));
}

}  // namespace

Router router_for(const Router& router, const RunShape& shape) {
  if (router.units() != shape.units()) {
    throw InputError(fmt::format("the router {} is for {} units, the model has {}", router.source(),
                                 router.units(), shape.units()));
  }
  const auto rows = trained_rows(router);
  if (rows.empty()) {
    throw InputError(fmt::format("the router {} has no cache step to carry over", router.source()));
  }
  const auto steps = static_cast<int>(shape.evaluations.size());
  const std::string& spacing = router.info().spacing;
  if (steps == router.rows() && (spacing.empty() || spacing == shape.spacing)) return router;
  std::vector<float> logits(static_cast<std::size_t>(steps * shape.units()));
  for (const Evaluation& evaluation : shape.evaluations) {
    for (int unit = 0; unit < shape.units(); ++unit) {
      logits[static_cast<std::size_t>(evaluation.row * shape.units() + unit)] =
          interpolated(router, rows, evaluation.time, unit);
    }
  }
  RouterInfo info = router.info();
  info.spacing = shape.spacing;
  info.training += fmt::format("; carried from {} to {} steps", router.rows(), steps);
  return {steps, shape.units(), std::move(logits), std::move(info), router.source()};
}

}  // namespace l2c
