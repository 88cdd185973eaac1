// What a router is trained on: the objective of Learning-to-Cache (arXiv 2406.01733, Algorithm 1).
#pragma once

#include <vector>

#include "l2c/core/torch.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/models/denoiser.h"

namespace l2c {

// All on the model's device.
struct RouterBatch {
  at::Tensor x0;      // [N, C, S, S] fp32: clean samples
  at::Tensor noise;   // like x0, standard normal
  at::Tensor labels;  // [N] int64; those dropped for classifier-free guidance are the null label
};

// What the student of one iteration starts from and is compared with: no gradients in it.
struct RouterTarget {
  int row = 0;                       // m: the cache step that is trained, an even spaced index
  at::Tensor x_s;                    // q(x_s | x_0) at the full step before it, s = m + 1
  at::Tensor output_s;               // the model at s: [N, C', S, S]
  std::vector<at::Tensor> branches;  // its branches before the gate, by unit: [N, T, D] fp32
  at::Tensor x_m;                    // the DDIM step (eta 0) from s to m
  at::Tensor t_m;                    // [N]: the model's timestep at m
  at::Tensor labels;                 // the batch's
  at::Tensor output;                 // the teacher: the full model at m, [N, C', S, S] fp32
};

struct RouterLoss {
  at::Tensor student;         // [N, C', S, S] fp32: the model at m with mixed branches
  at::Tensor mse_per_sample;  // [N]: mean square over all output channels, the variance's included
  at::Tensor mse;             // their mean
  at::Tensor weight_sum;      // the sum of the row's weights sigmoid(logit)
  at::Tensor total;           // mse + lambda * weight_sum, with autograd to the logits
};

// Both passes without gradients. Throws InputError when `row` is odd or row + 1 is outside the
// schedule, and as Denoiser::forward does.
RouterTarget router_target(const Denoiser& model, const Schedule& schedule, int row,
                           const RouterBatch& batch);

// logits [units] fp32: the parameter of the row. The model's weights need no gradient and get none.
// Reference: router_training_losses in learning-to-cache's gaussian_diffusion.py, and
// train_router.py.
RouterLoss router_loss(const Denoiser& model, const RouterTarget& target, const at::Tensor& logits,
                       double lambda);

}  // namespace l2c
