#include "conditions_ahead.h"

#include <algorithm>

namespace l2c {

namespace {
// More rows in one product do not make reading its weights any cheaper beside the arithmetic.
constexpr std::int64_t enough_rows = 64;
}  // namespace

ConditionsAhead::ConditionsAhead(const Denoiser& model, const at::Tensor& labels,
                                 const std::vector<Evaluation>& evaluations, std::int64_t bytes)
    : model_(model), labels_(labels) {
  const std::int64_t width = model.conditions_width();
  if (width == 0 || evaluations.empty()) return;
  for (const Evaluation& evaluation : evaluations) times_.push_back(evaluation.time);
  const auto count = static_cast<std::int64_t>(times_.size());
  const std::int64_t rows = labels.size(0);
  const std::int64_t fitting = bytes / (rows * width * std::int64_t{sizeof(float)});
  const std::int64_t most =
      std::clamp<std::int64_t>(std::min(fitting, enough_rows / rows), 1, count);
  const std::int64_t parts = (count + most - 1) / most;
  together_ = static_cast<int>((count + parts - 1) / parts);
}

at::Tensor ConditionsAhead::of(const Evaluation& evaluation) {
  if (together_ == 0) return {};
  const int index = evaluation.index;
  if (first_ < 0 || index < first_ || index >= first_ + together_) {
    first_ = -1;
    made_.reset();  // its memory first
    // Always as many, so that a run asks for no new memory at its end.
    const int first = std::min(index, static_cast<int>(times_.size()) - together_);
    made_ = make(first);
    first_ = first;
  }
  return made_.select(0, index - first_);
}

at::Tensor ConditionsAhead::make(int first) const {
  const std::int64_t rows = labels_.size(0);
  const at::Tensor t = at::empty({together_, rows}, at::kFloat);
  for (int i = 0; i < together_; ++i) {
    t.select(0, i).fill_(times_[static_cast<std::size_t>(first + i)]);
  }
  const at::Tensor y = labels_.repeat({together_});
  const at::Tensor made = model_.conditions(t.flatten().to(labels_.device()), y);
  return made.view({together_, rows, made.size(1)});
}

}  // namespace l2c
