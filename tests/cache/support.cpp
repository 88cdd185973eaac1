#include "cache/support.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>

namespace l2c::test {

RunShape ddim_shape(int blocks, int steps, std::string spacing) {
  RunShape shape;
  shape.blocks = blocks;
  shape.spacing = spacing.empty() ? std::to_string(steps) : std::move(spacing);
  shape.sampler = "ddim";
  for (int k = 0; k < steps; ++k) {
    Evaluation evaluation;
    evaluation.index = k;
    evaluation.count = steps;
    evaluation.row = steps - 1 - k;
    evaluation.time = 1000.0 * evaluation.row / steps;
    shape.evaluations.push_back(evaluation);
  }
  return shape;
}

Router random_router(int rows, int units, unsigned seed, RouterInfo info,
                     const std::string& source) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(static_cast<std::size_t>(rows) * static_cast<std::size_t>(units));
  for (float& logit : logits) logit = normal(generator);
  return {rows, units, std::move(logits), std::move(info), source};
}

at::Tensor reuse_mask(const CachePlan& plan) {
  at::Tensor mask = at::empty({plan.evaluations(), plan.units()}, at::kByte);
  auto* bits = mask.mutable_data_ptr<std::uint8_t>();
  for (int k = 0; k < plan.evaluations(); ++k) {
    for (int unit = 0; unit < plan.units(); ++unit) *bits++ = plan.computes(k, unit) ? 0 : 1;
  }
  return mask;
}

CachePlan random_plan(int evaluations, int units, double probability, unsigned seed) {
  std::mt19937 generator(seed);
  std::bernoulli_distribution coin(probability);
  CachePlan plan(evaluations, units);
  for (int k = 1; k < evaluations; ++k) {
    for (int unit = 0; unit < units; ++unit) {
      if (coin(generator)) plan.reuse(k, unit);
    }
  }
  return plan;
}

void FakeModel::forward(int evaluation, BranchRunner& runner) {
  for (int unit = 0; unit < 2 * blocks_; ++unit) {
    const auto compute = [&](at::Tensor out) {
      ran[evaluation].push_back(unit);
      const float content = static_cast<float>(100 * evaluation + unit);
      return out.defined() ? out.fill_(content) : at::full(shape_, content);
    };
    const BranchValue value = runner.branch(BranchId::from_unit(unit), compute);
    ASSERT_FALSE(value.empty());
    float sum = 0;
    for (const Term& term : value) {
      ASSERT_EQ(term.value.sizes().vec(), shape_);
      const float first = term.value.flatten()[0].item<float>();
      ASSERT_TRUE((term.value == first).all().item<bool>());
      sum += term.weight * first;
    }
    values[evaluation].push_back(sum);
    value_addresses[evaluation].push_back(value[0].value.const_data_ptr());
  }
}

}  // namespace l2c::test
