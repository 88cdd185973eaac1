#include "reporting.h"

#include <algorithm>
#include <utility>

#include "l2c/core/error.h"

namespace l2c {

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void LossSums::add(const std::array<double, 3>& losses) {
  for (std::size_t i = 0; i < losses.size(); ++i) values_[i] += losses[i];
  values_[3] += 1;
}

std::array<double, 3> LossSums::mean() const {
  return {values_[0] / count(), values_[1] / count(), values_[2] / count()};
}

at::Tensor LossSums::to_tensor() const {
  return at::tensor(at::ArrayRef<double>(values_), at::kDouble);
}

void LossSums::from_tensor(const at::Tensor& tensor) {
  if (tensor.numel() != 4) throw InputError("the checkpoint's sums must have 4 entries");
  const at::Tensor sums = tensor.to(at::kCPU, at::kDouble).contiguous();
  std::copy_n(sums.const_data_ptr<double>(), values_.size(), values_.begin());
}

ProgressReporter::ProgressReporter(TrainingProgressFunction progress, std::int64_t step,
                                   int samples)
    : progress_(std::move(progress)),
      resumed_from_(step),
      reported_step_(step),
      samples_(samples) {}

void ProgressReporter::operator()(std::int64_t step, std::int64_t of, const Curve& curve) {
  if (!progress_) return;
  const double now = seconds_since(start_);
  TrainingProgress row{.step = step,
                       .of = of,
                       .resumed_from = resumed_from_,
                       .elapsed_seconds = now,
                       .samples_per_second = static_cast<double>(step - reported_step_) * samples_ /
                                             std::max(now - reported_at_, 1e-9),
                       .values = {}};
  for (std::size_t i = 1; i < curve.columns().size(); ++i) {
    row.values.emplace_back(curve.columns()[i], curve.rows().back()[i]);
  }
  reported_at_ = now;
  reported_step_ = step;
  progress_(row);
}

}  // namespace l2c
