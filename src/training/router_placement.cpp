#include "l2c/training/router_placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "environment.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"
#include "l2c/ops/cpu_isa.h"
#include "l2c/sampling/denoise.h"
#include "l2c/training/random.h"
#include "l2c/training/step_placement.h"
#include "placement_file.h"
#include "router_results.h"

namespace l2c {

namespace {

constexpr float full_logit = 4;
constexpr double tolerance = 0.02;  // of a target, as in training
constexpr double threshold = 0.5;

double speedup_of(int full_steps, int steps, const ForwardCost& cost) {
  return price_of(steps, steps - full_steps, cost).largest();
}

int full_steps_of(const PlacementOptions& options, int steps, const Denoiser& model) {
  if (options.full_steps.has_value() == options.target_speedup.has_value()) {
    throw InputError(
        "placing full steps needs their number or a target speed-up: give one of them");
  }
  if (options.full_steps) {
    if (*options.full_steps >= 1 && *options.full_steps <= steps) return *options.full_steps;
    throw InputError(fmt::format("{} full steps: give 1 to {}", *options.full_steps, steps));
  }
  const double target = *options.target_speedup;
  if (!(target > 1 && std::isfinite(target))) {
    throw InputError(fmt::format("target speed-up {}: give a number above 1", target));
  }
  int count = steps;
  while (count > 0 && speedup_of(count, steps, model.cost()) < (1 - tolerance) * target) --count;
  if (count > 0) return count;
  throw InputError(
      fmt::format("target speed-up {}: one full step of {} gives {:.3f}, the largest possible",
                  target, steps, speedup_of(1, steps, model.cost())));
}

Router router_of(const std::vector<int>& full, int steps, int units, RouterInfo info) {
  std::vector<float> logits;
  for (int row = 0; row < steps; ++row) {
    const bool computed = std::binary_search(full.begin(), full.end(), steps - 1 - row);
    logits.insert(logits.end(), static_cast<std::size_t>(units),
                  computed ? full_logit : -full_logit);
  }
  return {steps, units, std::move(logits), std::move(info)};
}

// All that a placement's error depends on.
TrainingSettings settings_of(const Denoiser& model, const PlacementOptions& options,
                             const Recall& recall) {
  TrainingSettings settings;
  settings.add("model", model.info().fingerprint);
  settings.add("dtype", c10::toString(model.branch_dtype()));
  settings.add("spacing", options.spacing);
  settings.add("recall", recall.identity());
  settings.add("guidance", options.guidance);
  settings.add("images", std::int64_t{options.images});
  settings.add("seed", fmt::format("{}", options.seed));
  // Other kernels change last bits, and so, rarely, what is best.
  settings.add("device", c10::DeviceTypeName(model.device().type(), /*lower_case=*/true));
  settings.add("instruction_set", ops::name(ops::cpu_isa()));
  note_environment(settings);
  return settings;
}

Placement search(const Denoiser& model, const Schedule& schedule, const PlacementOptions& options,
                 const std::shared_ptr<const Recall>& recall,
                 const std::function<void(int, double)>& progress, const std::stop_token& stop) {
  const int count = full_steps_of(options, schedule.steps(), model);
  const auto& info = model.info();
  const TrainingRandom random(options.seed);
  const std::vector<std::int64_t> sizes{options.images, info.in_channels, info.input_size,
                                        info.input_size};
  const auto classes = random.integers(DrawFor::own_samples, 0, options.images, info.num_classes);
  const PlacementRuns runs{
      .model = model,
      .schedule = schedule,
      .guidance = {.scale = options.guidance, .channels = std::min(3, info.in_channels)},
      .noise = random.normal(DrawFor::noise, 0, sizes).to(model.device()),
      .labels = at::tensor(at::ArrayRef<std::int64_t>(classes)).to(model.device())};
  if (options.record.empty()) {
    return place_full_steps(runs, count, recall, nullptr, progress, stop);
  }
  PlacementFile record(options.record, settings_of(model, options, *recall));
  return place_full_steps(runs, count, recall, &record, progress, stop);
}

}  // namespace

PlacedRouter place_router(const std::shared_ptr<const Denoiser>& model,
                          const PlacementOptions& options,
                          const std::function<void(int, double)>& progress,
                          const std::stop_token& stop) {
  if (!model) throw InputError("placing full steps needs a model, not a null pointer");
  if (options.images < 1) {
    throw InputError(fmt::format("{} images: give at least 1", options.images));
  }
  if (!std::isfinite(options.guidance)) {
    throw InputError(fmt::format("guidance {}: give a finite number", options.guidance));
  }
  const auto recall = parse_recall(options.recall);
  const auto schedule = make_schedule(options.spacing);
  Placement placed;
  with_our_errors("try fewer images",
                  [&] { placed = search(*model, schedule, options, recall, progress, stop); });
  const auto& info = model->info();
  const int count = static_cast<int>(placed.full_steps.size());
  const auto how = fmt::format(
      "{} of {} steps placed by search: {} images, guidance {}, seed {}, {} runs, error {:.4g} + "
      "drift {:.4g}",
      count, schedule.steps(), options.images, options.guidance, options.seed, placed.tried,
      placed.error.local, placed.error.drift);
  return {.router = router_of(placed.full_steps, schedule.steps(), 2 * info.blocks,
                              {.model_fingerprint = info.fingerprint,
                               .spacing = options.spacing,
                               .sampler = "ddim",
                               .threshold = threshold,
                               .lambda = {},
                               .training = how,
                               .group = 0,
                               .recall = options.recall == "latest" ? "" : recall->name()}),
          .full_steps = placed.full_steps,
          .local_error = placed.error.local,
          .drift = placed.error.drift,
          .ideal_speedup = speedup_of(count, schedule.steps(), model->cost()),
          .tried = placed.tried};
}

}  // namespace l2c
