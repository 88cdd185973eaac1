#include "finite_check.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c {

namespace {

void require(const Evaluation& evaluation, const at::Tensor& finite) {
  if (finite.item<bool>()) return;
  throw RunError(fmt::format(
      "the latents are not finite after step {} of {} (timestep {}): check the checkpoint for NaN "
      "(l2c inspect), the initial noise and the guidance scale",
      evaluation.index + 1, evaluation.count, evaluation.time));
}

}  // namespace

void FiniteCheck::add(const Evaluation& evaluation, const at::Tensor& sample) {
  auto finite = at::isfinite(sample).all();
  if (finite.is_cpu()) {
    require(evaluation, finite);
  } else {
    pending_.emplace_back(evaluation, std::move(finite));
  }
}

void FiniteCheck::finish() {
  for (const auto& [evaluation, finite] : pending_) require(evaluation, finite);
  pending_.clear();
}

}  // namespace l2c
