#include "l2c/sampling/planning.h"

#include <fmt/format.h>

#include "l2c/core/error.h"
#include "l2c/sampling/denoise.h"
#include "spaced_schedule.h"

namespace l2c {

Schedule spaced_schedule(const std::string& spacing, std::optional<int> steps) {
  if (steps && (*steps < 1 || *steps > 1000)) {
    throw InputError(fmt::format("{} steps: give 1 to 1000", *steps));
  }
  if (spacing.empty()) return make_schedule(std::to_string(steps.value_or(default_steps)));
  auto schedule = make_schedule(spacing);
  if (steps && *steps != schedule.steps()) {
    throw InputError(
        fmt::format("the spacing \"{}\" has {} steps, but {} are asked for: leave out one of them",
                    spacing, schedule.steps(), *steps));
  }
  return schedule;
}

RunShape plan_shape(int blocks, const std::string& spacing, std::optional<int> steps,
                    const std::string& sampler) {
  return run_shape(blocks, spaced_schedule(spacing, steps), sampler);
}

double rows_of_run(const Request& request) {
  double rows = 0;
  for (const auto& evaluation : plan_shape(1, request.spacing, request.steps, "").evaluations) {
    const bool guided = request.guidance != 1 && request.guidance_range.contains(evaluation.time);
    rows += guided ? 2 : 1;
  }
  return rows;
}

}  // namespace l2c
