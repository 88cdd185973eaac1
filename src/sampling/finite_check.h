// Watching a run for NaN and infinity.
#pragma once

#include <utility>
#include <vector>

#include "l2c/core/branch.h"
#include "l2c/core/torch.h"

namespace l2c {

// On the CPU a bad step is reported at once. On a GPU asking would stop the queue at every step, so
// the answers are kept there and read once, in finish().
class FiniteCheck {
 public:
  // Throws RunError that names the step when the sample is not finite.
  void add(const Evaluation& evaluation, const at::Tensor& sample);
  void finish();

 private:
  std::vector<std::pair<Evaluation, at::Tensor>> pending_;
};

}  // namespace l2c
