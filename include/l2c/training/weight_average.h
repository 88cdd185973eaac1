// The exponential moving average of a training's weights.
#pragma once

#include <cstdint>
#include <vector>

#include "l2c/core/torch.h"

namespace l2c {

// average <- decay * average + (1 - decay) * value after every step; `ramp` takes the decay
// min(decay, (1 + step) / (10 + step)) instead, which forgets the start sooner. Reference:
// update_ema in DiT's train.py (without the ramp). Not thread-safe.
class WeightAverage {
 public:
  // averages[i] follows values[i]; both stay the caller's.
  WeightAverage(std::vector<at::Tensor> values, std::vector<at::Tensor> averages, double decay,
                bool ramp);
  // After step `step` (0-based).
  void update(std::int64_t step);

 private:
  std::vector<at::Tensor> values_, averages_;
  double decay_;
  bool ramp_;
};

}  // namespace l2c
