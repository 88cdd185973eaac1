#include "l2c/training/mixing_runner.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c {

BranchValue FillRunner::branch(BranchId id, BranchFunction compute) {
  at::Tensor value = compute({});
  branches_.at(static_cast<std::size_t>(id.unit())) = value.to(at::kFloat);
  return single(std::move(value));
}

MixingRunner::MixingRunner(const at::Tensor& weights, const std::vector<at::Tensor>& stored)
    : weights_(weights.unbind(0)), stored_(stored) {
  if (weights_.size() != stored_.size()) {
    throw InputError(
        fmt::format("{} weights for {} stored branches: the router is of a model of another depth",
                    weights_.size(), stored_.size()));
  }
}

BranchValue MixingRunner::branch(BranchId id, BranchFunction compute) {
  const auto unit = static_cast<std::size_t>(id.unit());
  const at::Tensor computed = compute({}).to(at::kFloat);
  return single(at::lerp(stored_.at(unit), computed, weights_.at(unit)));
}

}  // namespace l2c
