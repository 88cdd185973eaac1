#include "l2c/training/step_placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "l2c/cache/policies.h"
#include "l2c/cache/recalling.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/guidance.h"
#include "l2c/diffusion/steps.h"
#include "l2c/models/branch_runner.h"

namespace l2c {

namespace {

using Steps = std::vector<int>;

class FullSteps final : public CachePolicy {
 public:
  explicit FullSteps(Steps full) : full_(std::move(full)) {}
  [[nodiscard]] std::string name() const override {
    return fmt::format("full steps {}", fmt::join(full_, ", "));
  }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override {
    CachePlan plan(static_cast<int>(shape.evaluations.size()), shape.units());
    for (int k = 0; k < plan.evaluations(); ++k) {
      if (std::binary_search(full_.begin(), full_.end(), k)) continue;
      for (int unit = 0; unit < plan.units(); ++unit) plan.reuse(k, unit);
    }
    return plan;
  }

 private:
  Steps full_;
};

at::Tensor run(const PlacementRuns& runs, const CachePolicy& policy, StepFunction step,
               const std::stop_token& stop) {
  const DenoiseJob job{.model = runs.model,
                       .schedule = runs.schedule,
                       .policy = policy,
                       .step = std::move(step),
                       .guidance = runs.guidance,
                       .sampler = "ddim",
                       .stop = stop,
                       .observer = {}};
  return denoise(job, runs.noise, runs.labels).latents;
}

StepResult ddim(const PlacementRuns& runs, int row, const at::Tensor& x, const at::Tensor& output) {
  return ddim_step(runs.schedule, row, x, output, /*eta=*/0, {});
}

at::Tensor full_output(const PlacementRuns& runs, int row, const at::Tensor& x) {
  ComputeAllRunner runner;
  const int time = runs.schedule.timestep_map[static_cast<std::size_t>(row)];
  const auto output = [&](const at::Tensor& rows, const at::Tensor& labels) {
    const at::Tensor t = at::full({rows.size(0)}, time, labels.options());
    return runs.model.forward(rows, t, labels, runner).to(at::kFloat);
  };
  if (!runs.guidance.on_at(time)) return output(x, runs.labels);
  const at::Tensor null = at::full_like(runs.labels, *runs.model.info().null_label);
  return guide(output(at::cat({x, x}), at::cat({runs.labels, null})), runs.guidance.scale,
               runs.guidance.channels);
}

class Search {
 public:
  Search(const PlacementRuns& runs, std::shared_ptr<const Recall> recall, PlacementRecord* record,
         const std::function<void(int, double)>& progress, const std::stop_token& stop)
      : runs_(runs),
        recall_(std::move(recall)),
        record_(record),
        progress_(progress),
        stop_(stop),
        full_(run(
            runs, ComputeAll(),
            [&](int row, int, const at::Tensor& x, const at::Tensor& y) {
              return ddim(runs, row, x, y);
            },
            stop)) {}

  Placement from(Steps start) {
    best_ = std::move(start);
    best_total_ = total(best_);
    for (const int reach : {1, 2}) {
      while (move_to_neighbours(reach)) {
      }
    }
    while (exchange()) {
    }
    return {best_, errors_.at(best_), static_cast<int>(errors_.size())};
  }

 private:
  [[nodiscard]] int steps() const { return runs_.schedule.steps(); }
  [[nodiscard]] static bool holds(const Steps& in, int step) {
    return std::binary_search(in.begin(), in.end(), step);
  }

  double total(const Steps& tried) {
    if (const auto known = errors_.find(tried); known != errors_.end()) {
      return known->second.total();
    }
    const CacheDeviation error = recorded_or_run(tried);
    errors_.emplace(tried, error);
    if (progress_) {
      progress_(static_cast<int>(errors_.size()), std::min(error.total(), best_total_));
    }
    return error.total();
  }

  CacheDeviation recorded_or_run(const Steps& tried) {
    if (record_ != nullptr) {
      if (const auto known = record_->find(tried)) return *known;
    }
    const Recalling policy(std::make_shared<FullSteps>(tried), recall_);
    const CacheDeviation error = cache_deviation(runs_, policy, full_, stop_);
    if (record_ != nullptr) record_->add(tried, error);
    return error;
  }

  bool take_if_better(const Steps& tried) {
    const double found = total(tried);
    if (!(found < best_total_)) return false;
    best_ = tried;
    best_total_ = found;
    return true;
  }

  // Every full step but the first, by up to `reach`.
  bool move_to_neighbours(int reach) {
    bool better = false;
    for (std::size_t i = 1; i < best_.size(); ++i) {
      for (int by = -reach; by <= reach; ++by) {
        const int to = best_[i] + by;
        if (to < 1 || to >= steps() || holds(best_, to)) continue;
        Steps tried = best_;
        tried[i] = to;
        std::sort(tried.begin(), tried.end());
        better |= take_if_better(tried);
      }
    }
    return better;
  }

  // The one that is missed least goes where it helps most.
  bool exchange() {
    if (best_.size() < 2 || static_cast<int>(best_.size()) == steps()) return false;
    const Steps before = best_;
    Steps without;
    for (std::size_t i = 1; i < before.size(); ++i) {
      Steps tried = before;
      tried.erase(tried.begin() + static_cast<std::ptrdiff_t>(i));
      if (without.empty() || total(tried) < total(without)) without = tried;
    }
    bool better = false;
    for (int step = 1; step < steps(); ++step) {
      if (holds(before, step)) continue;
      Steps tried = without;
      tried.insert(std::upper_bound(tried.begin(), tried.end(), step), step);
      better |= take_if_better(tried);
    }
    return better;
  }

  const PlacementRuns& runs_;
  std::shared_ptr<const Recall> recall_;
  PlacementRecord* record_;
  const std::function<void(int, double)>& progress_;
  const std::stop_token& stop_;
  at::Tensor full_;
  std::map<Steps, CacheDeviation> errors_;
  Steps best_;
  double best_total_ = std::numeric_limits<double>::infinity();
};

// From the first to the last evaluation.
Steps evenly_spaced(int count, int steps) {
  Steps even;
  for (int i = 0; i < count; ++i) {
    const double at = count == 1 ? 0 : static_cast<double>(i) * (steps - 1) / (count - 1);
    even.push_back(static_cast<int>(std::lround(at)));
  }
  return even;
}

}  // namespace

CacheDeviation cache_deviation(const PlacementRuns& runs, const CachePolicy& policy,
                               const at::Tensor& full, const std::stop_token& stop) {
  const auto plan = planned(policy, run_shape(runs.model.info().blocks, runs.schedule, "ddim",
                                              runs.model.info().fingerprint, runs.guidance));
  const std::int64_t channels = runs.noise.size(1);
  CacheDeviation error;
  const auto step = [&](int row, int evaluation, const at::Tensor& x, const at::Tensor& output) {
    if (!plan || plan->cache_step(evaluation)) {
      const at::Tensor difference = full_output(runs, row, x) - output;
      error.local += error_weight(runs.schedule, row) *
                     difference.narrow(1, 0, channels).square().mean().item<double>();
    }
    return ddim(runs, row, x, output);
  };
  const at::Tensor latents = run(runs, policy, step, stop);
  error.drift = ((latents - full).square().mean() / full.var()).item<double>();
  return error;
}

Placement place_full_steps(const PlacementRuns& runs, int count,
                           const std::shared_ptr<const Recall>& recall, PlacementRecord* record,
                           const std::function<void(int, double)>& progress,
                           const std::stop_token& stop) {
  const int steps = runs.schedule.steps();
  if (count < 1 || count > steps) {
    throw InputError(fmt::format("{} full steps: give 1 to {}", count, steps));
  }
  return Search(runs, recall, record, progress, stop).from(evenly_spaced(count, steps));
}

}  // namespace l2c
