#include "l2c/cache/policies.h"

#include <fmt/format.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "l2c/core/error.h"

namespace l2c {

namespace {

CachePlan compute_all(const RunShape& shape) {
  return {static_cast<int>(shape.evaluations.size()), shape.units()};
}

std::string display_name(const Router& router) {
  return router.source().empty() ? "the router" : "router " + router.source();
}

void check_depth(const Router& router, const RunShape& shape) {
  if (router.units() != shape.units()) {
    throw InputError(fmt::format(
        "{} is for {} blocks ({} units), the model has {} ({} units): use a router that "
        "was trained for this model",
        display_name(router), router.units() / 2, router.units(), shape.blocks, shape.units()));
  }
}

void check_schedule(const Router& router, const RunShape& shape) {
  const auto steps = static_cast<int>(shape.evaluations.size());
  if (router.rows() != steps) {
    throw InputError(
        fmt::format("{0} was trained for {1} steps, the run has {2}: use --steps {1} or a router "
                    "trained for {2}",
                    display_name(router), router.rows(), steps));
  }
  const std::string& spacing = router.info().spacing;
  if (!spacing.empty() && !shape.spacing.empty() && spacing != shape.spacing) {
    throw InputError(
        fmt::format("{0} was trained with the timesteps of spacing \"{1}\", the run has those of "
                    "\"{2}\", which "
                    "are others: use the spacing \"{1}\" or a router trained with \"{2}\"",
                    display_name(router), spacing, shape.spacing));
  }
  const std::string& sampler = router.info().sampler;
  if (!sampler.empty() && !shape.sampler.empty() && sampler != shape.sampler) {
    throw InputError(
        fmt::format("{0} was trained for the sampler {1}, the run uses {2}: use {1} or a router "
                    "trained for {2}",
                    display_name(router), sampler, shape.sampler));
  }
}

void check_model(const Router& router, const RunShape& shape) {
  const std::string& fingerprint = router.info().model_fingerprint;
  if (!fingerprint.empty() && !shape.fingerprint.empty() && fingerprint != shape.fingerprint) {
    throw InputError(fmt::format(
        "{} was trained for the model with fingerprint {}, this model's is {}: its weights or its "
        "configuration are others; use the checkpoint the router was trained for",
        display_name(router), fingerprint, shape.fingerprint));
  }
}

void check_row(const Router& router, const Evaluation& evaluation, int position) {
  if (evaluation.row < 0) {
    throw InputError(
        fmt::format("evaluation {} of the run has no spaced timestep index, so no row of {} is in "
                    "force there: use a sampler with discrete timesteps or another policy",
                    position, display_name(router)));
  }
  if (evaluation.row >= router.rows()) {
    throw InputError(fmt::format(
        "evaluation {} of the run has the spaced timestep index {}, {} has rows 0 to {}", position,
        evaluation.row, display_name(router), router.rows() - 1));
  }
}

}  // namespace

std::optional<CachePlan> ComputeAll::plan(const RunShape& shape) const {
  return compute_all(shape);
}

EveryN::EveryN(int n, int warm_up) : n_(n), warm_up_(warm_up) {
  if (n < 1) {
    throw InputError(
        fmt::format("computing every {}-th evaluation makes no sense: N must be at least 1", n));
  }
  if (warm_up < 1) {
    throw InputError(fmt::format(
        "{} evaluations to warm up: at least the first one computes everything", warm_up));
  }
}

std::string EveryN::name() const {
  if (warm_up_ == 1) return fmt::format("every {}", n_);
  return fmt::format("every {} after {}", n_, warm_up_);
}

std::optional<CachePlan> EveryN::plan(const RunShape& shape) const {
  CachePlan plan = compute_all(shape);
  for (int evaluation = 0; evaluation < plan.evaluations(); ++evaluation) {
    const int since_warm_up = evaluation - (warm_up_ - 1);
    if (since_warm_up <= 0 || since_warm_up % n_ == 0) continue;
    for (int unit = 0; unit < plan.units(); ++unit) plan.reuse(evaluation, unit);
  }
  return plan;
}

std::vector<bool> router_cache_steps(int group, const RunShape& shape) {
  std::vector<bool> cache_steps;
  for (std::size_t k = 0; k < shape.evaluations.size(); ++k) {
    const bool nothing_stored = k == 0;
    const bool full = group == 2 ? shape.evaluations[k].row % 2 == 1
                                 : group > 0 && k % static_cast<std::size_t>(group) == 0;
    cache_steps.push_back(!nothing_stored && !full);
  }
  return cache_steps;
}

LearnedRouter::LearnedRouter(Router router, double threshold)
    : router_(std::move(router)), threshold_(threshold) {
  // Written so that NaN fails, too.
  if (!(threshold >= 0 && threshold <= 1)) {
    throw InputError(fmt::format(
        "the router threshold must be between 0 and 1, not {} (the paper uses 0.1 for DiT at 256 x "
        "256 and 0.9 at 512 x 512)",
        threshold));
  }
}

std::string LearnedRouter::name() const {
  const std::string file = std::filesystem::path(router_.source()).filename().string();
  return fmt::format("learned router{}{}, threshold {}", file.empty() ? "" : " ", file, threshold_);
}

std::optional<CachePlan> LearnedRouter::plan(const RunShape& shape) const {
  check_depth(router_, shape);
  check_schedule(router_, shape);
  check_model(router_, shape);
  CachePlan plan = compute_all(shape);
  const auto threshold = static_cast<float>(threshold_);
  const auto cache_steps = router_cache_steps(router_.info().group, shape);
  for (int k = 0; k < plan.evaluations(); ++k) {
    const Evaluation& evaluation = shape.evaluations[static_cast<std::size_t>(k)];
    check_row(router_, evaluation, k);
    if (!cache_steps[static_cast<std::size_t>(k)]) continue;
    plan.mark_cache_step(k);
    for (int unit = 0; unit < plan.units(); ++unit) {
      const bool computed = router_.score(evaluation.row, unit) > threshold;
      if (!computed) plan.reuse(k, unit);
    }
  }
  return plan;
}

}  // namespace l2c
