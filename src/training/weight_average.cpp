#include "l2c/training/weight_average.h"

#include <algorithm>
#include <utility>

namespace l2c {

WeightAverage::WeightAverage(std::vector<at::Tensor> values, std::vector<at::Tensor> averages,
                             double decay, bool ramp)
    : values_(std::move(values)), averages_(std::move(averages)), decay_(decay), ramp_(ramp) {}

void WeightAverage::update(std::int64_t step) {
  const at::NoGradGuard no_grad;
  const double ramped = static_cast<double>(1 + step) / static_cast<double>(10 + step);
  const double decay = ramp_ ? std::min(decay_, ramped) : decay_;
  at::_foreach_lerp_(averages_, values_, 1 - decay);
}

}  // namespace l2c
