// The denoising loop: one micro-batch from noise to latents.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "l2c/cache/policy.h"
#include "l2c/cache/store.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/diffusion/steps.h"
#include "l2c/models/denoiser.h"
#include "l2c/sampling/request.h"

namespace l2c {

class GraphSet;

struct Guidance {
  double scale = 1;       // 1: off, one batch row an image instead of two
  int channels = 3;       // how many epsilon channels are guided
  TimestepRange range{};  // where it acts, if it is on
  [[nodiscard]] bool on() const { return scale != 1; }
  [[nodiscard]] bool on_at(double time) const { return on() && range.contains(time); }
};

// Throws InputError when guidance is on and the model has no null label, or no timestep of the
// schedule is in its range.
void check_guidance(const Guidance& guidance, const DenoiserInfo& info, const Schedule& schedule);

// One solver step: (spaced index, evaluation index, x, guided model output) -> next sample.
using StepFunction =
    std::function<StepResult(int i, int evaluation, const at::Tensor& x, const at::Tensor& output)>;

// What is known after each step; for progress, probes and tests.
struct StepView {
  const Evaluation& evaluation;
  const at::Tensor& sample;  // [N, C, H, W], after the step
  const at::Tensor& pred_xstart;
  double computed;  // branches really computed in this evaluation, in the mean over the images
};

// Enough for the weights that make a DiT's modulations to be read once in ten steps, or less often.
inline constexpr std::int64_t most_conditions_bytes = std::int64_t{16} << 20;

struct DenoiseJob {
  const Denoiser& model;
  const Schedule& schedule;
  const CachePolicy& policy;
  StepFunction step;
  Guidance guidance;
  std::string sampler;  // for the policy's checks: "ddim" or "ddpm"
  std::stop_token stop;
  std::function<void(const StepView&)> observer;  // may be empty
  // Null: the model is called directly. Otherwise a run that carries out a plan, guided throughout
  // or not at all, records and repeats
  // what the device does (graphs.h): the same latents and counts; what is kept stays to the run's
  // end, so that cache_bytes may be larger.
  GraphSet* graphs = nullptr;
  // How much memory may hold what the model makes of timesteps and labels for later steps, and as
  // much again while it does; 0: only the step's own. For models that say conditions_width().
  std::int64_t conditions_bytes = most_conditions_bytes;
};

struct DenoiseResult {
  at::Tensor latents;  // [N, C, H, W]
  // How often each unit was really computed, in the mean over the images: policies that decide
  // as they go may treat them unlike.
  std::vector<double> computed_by_unit;
  // The same counted in batch rows of one image, of which a guided evaluation has two; and those of
  // all evaluations.
  std::vector<double> rows_by_unit;
  double rows = 0;
  std::size_t cache_bytes = 0;  // peak of stored tensors, of the whole micro-batch
};

// The shape of a run over a schedule, for policies and plans. rows_per_image is 2 where guidance is
// on somewhere.
RunShape run_shape(int blocks, const Schedule& schedule, std::string sampler,
                   std::string fingerprint = "", const Guidance& guidance = {});

// noise [N, C, H, W] fp32 and labels [N] int64 on the model's device. Runs the model from the
// noisiest step to the cleanest. Throws InputError (the policy does not fit, check_guidance()),
// Cancelled (checked before every evaluation), RunError (non-finite latents; names the step).
DenoiseResult denoise(const DenoiseJob& job, const at::Tensor& noise, const at::Tensor& labels);

}  // namespace l2c
