// The runners of router training.
#pragma once

#include <vector>

#include "l2c/core/torch.h"
#include "l2c/models/branch_runner.h"

namespace l2c {

// Computes every branch and keeps its value (before the adaLN gate), by unit: what a cache step
// would read. Its forward pass must run without gradients, but not in inference mode: the values
// go into a student pass that has gradients. One forward pass; not thread-safe.
class FillRunner final : public BranchRunner {
 public:
  explicit FillRunner(int units) : branches_(static_cast<std::size_t>(units)) {}
  BranchValue branch(BranchId id, BranchFunction compute) override;
  // After the pass: a tensor [N, T, D] fp32 for each unit.
  [[nodiscard]] std::vector<at::Tensor> take() { return std::move(branches_); }

 private:
  std::vector<at::Tensor> branches_;
};

// Hands out w * f + (1 - w) * stored, where f is the branch computed now and w the unit's weight:
// the soft choice between computing (w = 1) and reusing (w = 0). Differentiable in the weights.
// Mixes in fp32 whatever the branch's type, so that w = 1 gives f to rounding of fp32. One forward
// pass; not thread-safe. (Reference: DiTBlock.forward of router_models.py in learning-to-cache.)
class MixingRunner final : public BranchRunner {
 public:
  // weights [units] fp32, in [0, 1]; stored: [N, T, D] fp32 a unit, outlives this. Throws
  // InputError when their numbers differ.
  MixingRunner(const at::Tensor& weights, const std::vector<at::Tensor>& stored);
  BranchValue branch(BranchId id, BranchFunction compute) override;

 private:
  std::vector<at::Tensor> weights_;  // a scalar for each unit
  const std::vector<at::Tensor>& stored_;
};

}  // namespace l2c
