// Forecasts in whole runs, against runs that keep every value and follow the methods' formulas.
#include "l2c/cache/recall.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/cache/pricing.h"
#include "l2c/cache/recalling.h"
#include "l2c/cache/runner.h"
#include "l2c/diffusion/steps.h"
#include "l2c/sampling/denoise.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

struct Computed {
  int evaluation = 0;
  at::Tensor value;
};
using History = std::vector<Computed>;  // oldest first
using Formula = std::function<at::Tensor(const History&, int evaluation)>;

// TaylorSeer-DiT: derivatives renewed at every computed value, in its order of operations.
at::Tensor taylor_series(const History& history, int evaluation, int order) {
  std::vector<at::Tensor> factors;
  for (std::size_t j = 0; j < history.size(); ++j) {
    std::vector<at::Tensor> renewed = {history[j].value};
    for (std::size_t i = 0; i < factors.size() && i < static_cast<std::size_t>(order); ++i) {
      const int distance = history[j].evaluation - history[j - 1].evaluation;
      renewed.push_back((renewed[i] - factors[i]) / distance);
    }
    factors = renewed;
  }
  at::Tensor sum = at::zeros_like(factors[0]);
  const int x = evaluation - history.back().evaluation;
  double factorial = 1;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    if (i > 0) factorial *= static_cast<double>(i);
    sum = sum + factors[i] * (std::pow(x, static_cast<double>(i)) / factorial);
  }
  return sum;
}

at::Tensor barycentric(const History& history, int evaluation, int order) {
  const auto count = std::min(history.size(), static_cast<std::size_t>(order) + 1);
  if (count == 1) return history.back().value;
  at::Tensor above;
  double below = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const Computed& computed = history[history.size() - count + j];
    double weight = j % 2 == 0 ? 1 : -1;
    if (j == 0 || j == count - 1) weight /= 2;
    weight /= evaluation - computed.evaluation;
    above = above.defined() ? above + computed.value * weight : computed.value * weight;
    below += weight;
  }
  return above / below;
}

// Decides like another policy; keeps all that was computed and reuses by a formula.
class ByFormula final : public CachePolicy {
 public:
  ByFormula(std::shared_ptr<const CachePolicy> inner, Formula formula)
      : inner_(std::move(inner)), formula_(std::move(formula)) {}
  [[nodiscard]] std::string name() const override { return "by formula"; }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override {
    return inner_->plan(shape);
  }
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore&,
                                                const Recall*) const override {
    return std::make_unique<Run>(*plan(shape), formula_);
  }

 private:
  class Run final : public CacheRun, private BranchRunner {
   public:
    Run(CachePlan plan, Formula formula) : plan_(std::move(plan)), formula_(std::move(formula)) {}
    BranchRunner& begin(const Evaluation& evaluation) override {
      evaluation_ = evaluation.index;
      return *this;
    }

   private:
    BranchValue branch(BranchId id, BranchFunction compute) override {
      History& history = histories_[id.unit()];
      if (!plan_.computes(evaluation_, id.unit())) return single(formula_(history, evaluation_));
      const at::Tensor value = compute({});
      history.push_back({evaluation_, value.clone()});
      return single(value);
    }
    CachePlan plan_;
    Formula formula_;
    int evaluation_ = 0;
    std::map<int, History> histories_;
  };
  std::shared_ptr<const CachePolicy> inner_;
  Formula formula_;
};

DenoiseResult sample(const CachePolicy& policy) {
  const auto model = test::tiny_model();
  const auto schedule = make_schedule("20");
  at::manual_seed(17);
  const auto noise = at::randn({2, 4, 8, 8});
  const DenoiseJob job{
      .model = *model,
      .schedule = schedule,
      .policy = policy,
      .step = [&](int i, int, const at::Tensor& x,
                  const at::Tensor& y) { return ddim_step(schedule, i, x, y, 0, {}); },
      .guidance = {.scale = 4, .channels = 3},
      .sampler = "ddim",
      .stop = {},
      .observer = {}};
  return denoise(job, noise, at::tensor({1, 7}, at::kLong));
}

struct RecallCase {
  std::string recall;
  Formula formula;
};
void PrintTo(const RecallCase& recall_case, std::ostream* out) { *out << recall_case.recall; }

std::vector<RecallCase> cases() {
  std::vector<RecallCase> all;
  for (const int order : {1, 2, 4}) {
    all.push_back(
        {fmt::format("taylor:{}", order), [order](const History& history, int evaluation) {
           return taylor_series(history, evaluation, order);
         }});
    all.push_back(
        {fmt::format("chebyshev:{}", order), [order](const History& history, int evaluation) {
           return barycentric(history, evaluation, order);
         }});
  }
  return all;
}

class Forecasts : public testing::TestWithParam<RecallCase> {};

TEST_P(Forecasts, AreTheFormulas) {
  const auto router =
      std::make_shared<LearnedRouter>(Router::load(test::data("l2c/router_random.pt")), 0.5);
  const std::vector<std::shared_ptr<const CachePolicy>> policies = {
      std::make_shared<EveryN>(3, 2), std::make_shared<EveryN>(2), router};
  for (const auto& policy : policies) {
    const Recalling recalling(policy, parse_recall(GetParam().recall));
    const auto result = sample(recalling);
    const auto expected = sample(ByFormula(policy, GetParam().formula));
    test::expect_close(result.latents, expected.latents, 1e-5, recalling.name());
    EXPECT_EQ(result.computed_by_unit, expected.computed_by_unit);
    EXPECT_GT(test::relative_error(result.latents, sample(*policy).latents), 2e-4)
        << "it is not the latest value";
  }
}

TEST_P(Forecasts, HoldWhatTheyArePricedAt) {
  const auto model = test::tiny_model();
  const Recalling recalling(std::make_shared<EveryN>(3), parse_recall(GetParam().recall));
  const auto plan = *recalling.plan(run_shape(4, make_schedule("20"), "ddim"));
  const auto price = l2c::price(plan, model->cost());
  EXPECT_EQ(static_cast<std::int64_t>(sample(recalling).cache_bytes), 2 * price.cache_bytes);
  const auto latest =
      l2c::price(*EveryN(3).plan(run_shape(4, make_schedule("20"), "ddim")), model->cost());
  EXPECT_GE(price.cache_bytes, 2 * latest.cache_bytes);
  EXPECT_EQ(price.true_macs_plan, latest.true_macs_plan);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Forecasts, testing::ValuesIn(cases()), [](const auto& param) {
  std::string name = param.param.recall;
  name[name.find(':')] = '_';
  return name;
});

}  // namespace
}  // namespace l2c
