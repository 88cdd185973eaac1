// What several of the cache's tests need.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "l2c/cache/plan.h"
#include "l2c/cache/policy.h"
#include "l2c/cache/router.h"
#include "l2c/core/torch.h"
#include "l2c/models/branch_runner.h"
#include "support/messages.h"

namespace l2c::test {

// A DDIM run of `steps` evaluations, from the noisiest row to row 0.
RunShape ddim_shape(int blocks, int steps, std::string spacing = "");

// A router with normally distributed logits.
Router random_router(int rows, int units, unsigned seed, RouterInfo info = {},
                     const std::string& source = "random.pt");

// All of a plan's bits as a tensor [evaluations, units] u8; 1: reused.
at::Tensor reuse_mask(const CachePlan& plan);

// A plan in which each unit after the first evaluation is reused with the given probability.
CachePlan random_plan(int evaluations, int units, double probability, unsigned seed);

// Stands for a model: asks for every branch of one evaluation, and notes which ones ran and what
// came back. The branch of a unit in evaluation k computes the value 100 * k + unit everywhere.
class FakeModel {
 public:
  FakeModel(int blocks, at::IntArrayRef shape) : blocks_(blocks), shape_(shape.vec()) {}
  void forward(int evaluation, BranchRunner& runner);

  std::map<int, std::vector<int>> ran;                      // evaluation -> units
  std::map<int, std::vector<float>> values;                 // evaluation -> value of each unit
  std::map<int, std::vector<const void*>> value_addresses;  // where each value lies

 private:
  int blocks_;
  std::vector<std::int64_t> shape_;
};

}  // namespace l2c::test
