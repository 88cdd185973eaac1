// Checking a request against a model and turning it into what the loop needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "l2c/core/torch.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/diffusion/scheduler.h"
#include "l2c/models/denoiser.h"
#include "l2c/sampling/denoise.h"
#include "l2c/sampling/request.h"

namespace l2c {

// All results of one request stay in memory.
inline constexpr int most_images = 1'000'000;
// Far from where numbers of images could overflow.
inline constexpr std::int64_t last_first_image = std::int64_t{1} << 62;

// The scheduler of the model's folder, or why there is none that can be used.
struct FolderScheduler {
  std::optional<SchedulerConfig> config;
  std::string problem = "this model does not come from the folder of a Diffusers pipeline";
};

// A request that was checked: every number is in its range for this model.
struct Prepared {
  Schedule schedule;
  std::string sampler;              // "ddim", "ddpm" or "folder"
  std::optional<SchedulerRun> run;  // of the folder's scheduler, when that is asked for
  Guidance guidance;
  std::vector<int> labels;   // one an image
  at::Tensor initial_noise;  // [images, C, S, S] on the CPU; undefined: from the seed
};

// Throws InputError that names the field, the value and what is allowed.
Prepared prepare(const Request& request, const DenoiserInfo& info,
                 const FolderScheduler& scheduler);

// fp32 [count, C, S, S] on the CPU for the request's images first, first + 1, ... (counted from its
// first_image): the initial noise (step -1) or that of an evaluation.
at::Tensor image_noise(const Request& request, const DenoiserInfo& info, std::int64_t first,
                       std::int64_t count, int step);

// The solver step of the request for the micro-batch of images first, first + 1, ... The folder's
// scheduler remembers earlier steps: once through each function.
StepFunction step_function(const Request& request, const Prepared& prepared,
                           const DenoiserInfo& info, std::int64_t first);

}  // namespace l2c
