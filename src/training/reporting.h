// What the trainers tell while they run.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "l2c/core/torch.h"
#include "l2c/training/curve.h"
#include "l2c/training/progress.h"

namespace l2c {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start);

// Three losses a step, added up since the last row of the curve; part of the checkpoint.
class LossSums {
 public:
  void add(const std::array<double, 3>& losses);
  [[nodiscard]] double count() const { return values_[3]; }  // steps
  [[nodiscard]] std::array<double, 3> mean() const;
  [[nodiscard]] at::Tensor to_tensor() const;  // [4] double: the sums and the number of steps
  void from_tensor(const at::Tensor& tensor);  // throws InputError for another number of entries

 private:
  std::array<double, 4> values_{};
};

// Turns rows of the curve into progress. One call of a trainer's run(); its clock starts with it.
class ProgressReporter {
 public:
  // step: where the run starts. samples: of one step.
  ProgressReporter(TrainingProgressFunction progress, std::int64_t step, int samples);
  // The curve's last row (whose first column is the step itself), of `step` of `of`.
  void operator()(std::int64_t step, std::int64_t of, const Curve& curve);

 private:
  TrainingProgressFunction progress_;
  std::int64_t resumed_from_;
  std::int64_t reported_step_;
  int samples_;
  Clock::time_point start_ = Clock::now();
  double reported_at_ = 0;
};

}  // namespace l2c
