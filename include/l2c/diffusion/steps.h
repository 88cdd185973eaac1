// One step of a sampler: pure functions, no model, no state.
#pragma once

#include "l2c/core/torch.h"
#include "l2c/diffusion/schedule.h"

namespace l2c {

// In all of these: i is the spaced index (0 = cleanest), x the current sample [N, C, H, W],
// model_output [N, C, H, W] (epsilon) or [N, 2C, H, W] (epsilon, then learned variance values),
// table values are cast to fp32 where they are used. Reference: diffusion/gaussian_diffusion.py.
struct StepResult {
  at::Tensor sample;       // x at the next cleaner step
  at::Tensor pred_xstart;  // the predicted clean sample
};

struct MeanVariance {
  at::Tensor mean;
  at::Tensor variance;
  at::Tensor log_variance;
  at::Tensor pred_xstart;
};

// p(x_{i-1} | x_i). With a learned variance the log variance lies between the posterior's and
// beta's at (v + 1) / 2, unclamped; without one it is the posterior's clipped (DiT always learns
// it). clip: pred_xstart is clamped to [-1, 1].
MeanVariance p_mean_variance(const Schedule& schedule, int i, const at::Tensor& x,
                             const at::Tensor& model_output, bool clip = false);

// DDPM: mean + exp(log_variance / 2) * noise; noise is not used (may be undefined) at i = 0.
StepResult ddpm_step(const Schedule& schedule, int i, const at::Tensor& x,
                     const at::Tensor& model_output, const at::Tensor& noise, bool clip = false);

// DDIM with any eta >= 0; epsilon is derived again from pred_xstart. noise may be undefined at
// eta = 0 or i = 0.
StepResult ddim_step(const Schedule& schedule, int i, const at::Tensor& x,
                     const at::Tensor& model_output, double eta, const at::Tensor& noise,
                     bool clip = false);

// q(x_i | x_0): sqrt(abar) x0 + sqrt(1 - abar) noise.
at::Tensor q_sample(const Schedule& schedule, int i, const at::Tensor& x0, const at::Tensor& noise);

}  // namespace l2c
