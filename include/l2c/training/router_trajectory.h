// A router trained on whole runs of the sampler: each cache step sees what the ones before it did.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "l2c/cache/recall.h"
#include "l2c/cache/router.h"
#include "l2c/core/torch.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/models/denoiser.h"

namespace l2c {

// How a run is made.
struct TrajectoryOptions {
  std::shared_ptr<const Recall> recall;  // what reused branches give; never null
  double threshold = paper_threshold;    // a branch is computed when its score is above it
  // false: the student mixes w * computed + (1 - w) * recalled with w the branch's score, as
  // published. true: it computes or recalls as the threshold says, which is what sampling does, and
  // the gradient passes to the score as if it had been mixed (straight-through).
  bool hard = false;
  double guidance = 1;      // classifier-free guidance scale; 1: off
  int guided_channels = 3;  // how many epsilon channels are guided
};

// One cache step of a run.
struct TrajectoryStep {
  int evaluation = 0;
  int row = 0;
  double error = 0;       // error_weight() * mean square over the epsilon channels
  double weight_sum = 0;  // of the row's scores
};

// Samples from `noise` [N, C, S, S] and `labels` [N] with DDIM (eta 0) as a router decides. In the
// evaluations that are no cache steps (router_cache_steps()) everything is computed. In the others
// the full model at the same x is the teacher; the student's loss, error_weight() *
// mse + lambda * (sum of the scores), adds its gradient to `logits(row)`: [units] fp32, a leaf that
// requires it. Only the decisions of the step itself get one: what was stored before, and x, are
// constants. The student's output is what the sampler goes on from, and the branches that it
// computed (by the threshold) are what later steps recall. What the sampler does not read, the
// variance channels, does not count. Throws InputError: cache_steps for another number of
// evaluations or with the first one among them, a recall that does not fit the run, guidance of a
// model that cannot be guided, and as Denoiser::forward does.
std::vector<TrajectoryStep> router_trajectory(
    const Denoiser& model, const Schedule& schedule, const std::vector<bool>& cache_steps,
    const std::function<const at::Tensor&(int row)>& logits, double lambda, const at::Tensor& noise,
    const at::Tensor& labels, const TrajectoryOptions& options);

}  // namespace l2c
