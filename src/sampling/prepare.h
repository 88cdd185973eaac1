// Checking a request against a model and turning it into what the loop needs.
#pragma once

#include <string>

#include "l2c/core/torch.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/models/denoiser.h"
#include "l2c/sampling/denoise.h"
#include "l2c/sampling/request.h"

namespace l2c {

// A request that was checked: every number is in its range for this model.
struct Prepared {
  Schedule schedule;
  std::string sampler;  // "ddim" or "ddpm"
  Guidance guidance;
  std::vector<int> labels;   // one an image
  at::Tensor initial_noise;  // [images, C, S, S] on the CPU; undefined: from the seed
};

// Throws InputError that names the field, the value and what is allowed.
Prepared prepare(const Request& request, const DenoiserInfo& info);

// fp32 [count, C, S, S] on the CPU for the request's images first, first + 1, ... (counted from its
// first_image): the initial noise (step -1) or that of an evaluation.
at::Tensor image_noise(const Request& request, const DenoiserInfo& info, std::int64_t first,
                       std::int64_t count, int step);

// The solver step of the request for the micro-batch of images first, first + 1, ...
StepFunction step_function(const Request& request, const Prepared& prepared,
                           const DenoiserInfo& info, std::int64_t first);

}  // namespace l2c
