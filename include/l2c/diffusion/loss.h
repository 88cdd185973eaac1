// What a diffusion model is trained on.
#pragma once

#include "l2c/core/torch.h"
#include "l2c/diffusion/schedule.h"

namespace l2c {

// q(x_t | x_0) with a step of its own for each sample: t [N] int64 spaced indices (0 = cleanest),
// on x0's device; x0 and noise [N, C, H, W].
at::Tensor q_sample(const Schedule& schedule, const at::Tensor& t, const at::Tensor& x0,
                    const at::Tensor& noise);

struct TrainingLoss {
  at::Tensor mse;  // [N]: mean square of predicted minus true noise
  // [N], in bits: KL of q(x_{t-1} | x_t, x_0) and p(x_{t-1} | x_t), at t = 0 the decoder's negative
  // log-likelihood of pixels in steps of 2 / 255. Only the variance learns from it: the mean is
  // held fixed. Undefined for a model that does not learn its variance.
  at::Tensor vb;
  [[nodiscard]] at::Tensor total() const;  // [N]: the sum
};

// model_output [N, C or 2C, H, W] for x_t; x0 in [-1, 1]. Reference: training_losses and
// _vb_terms_bpd in DiT's diffusion/gaussian_diffusion.py (loss type MSE, learned range, no clip).
TrainingLoss training_loss(const Schedule& schedule, const at::Tensor& t, const at::Tensor& x0,
                           const at::Tensor& x_t, const at::Tensor& noise,
                           const at::Tensor& model_output);

}  // namespace l2c
