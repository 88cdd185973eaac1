// What the model makes of timesteps and labels, for several steps of a run at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "l2c/core/branch.h"
#include "l2c/models/denoiser.h"

namespace l2c {

// A run knows its timesteps before it starts, and in a step that reuses every branch the product
// that makes the modulations is most of what is left to do: one for several steps reads its
// weights, a third of a DiT's, once instead of in every step. One run has one. Not thread-safe.
class ConditionsAhead {
 public:
  // labels [rows] outlive this, as the model does. Holds at most `bytes` of conditions, and as much
  // again while it makes them; those of one evaluation in any case.
  ConditionsAhead(const Denoiser& model, const at::Tensor& labels,
                  const std::vector<Evaluation>& evaluations, std::int64_t bytes);

  // For forward_conditioned(); undefined where the model has none to make ahead. For any order of
  // evaluations, but made for those that follow in the run's.
  at::Tensor of(const Evaluation& evaluation);

 private:
  [[nodiscard]] at::Tensor make(int first) const;
  const Denoiser& model_;
  const at::Tensor& labels_;
  std::vector<double> times_;
  int together_ = 0;  // evaluations at a time; 0: the model has none
  int first_ = -1;    // evaluation of those in made_; -1: none yet
  at::Tensor made_;   // [together, rows, width]
};

}  // namespace l2c
