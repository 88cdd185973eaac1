#include "finite_check.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c {

namespace {

// `zeros`: the sum of a sample's values times 0, which NaN and infinity make NaN.
void require(const Evaluation& evaluation, const at::Tensor& zeros) {
  if (zeros.item<float>() == 0) return;
  throw RunError(fmt::format(
      "the latents are not finite after step {} of {} (timestep {}): check the checkpoint for NaN "
      "(l2c inspect), the initial noise and the guidance scale",
      evaluation.index + 1, evaluation.count, evaluation.time));
}

}  // namespace

void FiniteCheck::add(const Evaluation& evaluation, const at::Tensor& sample) {
  // Two passes instead of the six of isfinite().all(): in a step that reuses every branch they
  // show.
  auto zeros = at::mul(sample, 0).sum();
  if (zeros.is_cpu()) {
    require(evaluation, zeros);
  } else {
    pending_.emplace_back(evaluation, std::move(zeros));
  }
}

void FiniteCheck::finish() {
  for (const auto& [evaluation, zeros] : pending_) require(evaluation, zeros);
  pending_.clear();
}

}  // namespace l2c
