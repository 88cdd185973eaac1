#include "l2c/cache/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/recall.h"
#include "l2c/cache/recalling.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::ddim_shape;
using test::FakeModel;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::size_t slot_bytes = 2 * 3 * 4 * sizeof(float);

const Latest latest;

CacheStore make_store() { return {2, 3, 4, at::kFloat}; }

// A whole run of the fake model with the branches counted.
int run(const CachePolicy& policy, const RunShape& shape, CacheStore& store, FakeModel& model) {
  const std::unique_ptr<CacheRun> cache = policy.start(shape, store, nullptr);
  double computed = 0;
  for (const Evaluation& evaluation : shape.evaluations) {
    CountingRunner counting(cache->begin(evaluation), store.rows());
    model.forward(evaluation.index, counting);
    computed += counting.computed();
  }
  return static_cast<int>(computed);
}

// That exactly the plan's branches ran and each unit's value is the one computed last.
void expect_carried_out(const CachePlan& plan, const FakeModel& model) {
  std::vector<float> last(static_cast<std::size_t>(plan.units()));
  for (int k = 0; k < plan.evaluations(); ++k) {
    std::vector<int> expected_to_run;
    for (int unit = 0; unit < plan.units(); ++unit) {
      if (!plan.computes(k, unit)) continue;
      expected_to_run.push_back(unit);
      last[static_cast<std::size_t>(unit)] = static_cast<float>(100 * k + unit);
    }
    const auto ran = model.ran.find(k);
    EXPECT_EQ(ran == model.ran.end() ? std::vector<int>() : ran->second, expected_to_run) << k;
    EXPECT_EQ(model.values.at(k), last) << "evaluation " << k;
  }
}

// Reuses the attention branches of every second half: a policy as a user writes it.
class AttentionOnly final : public CachePolicy {
 public:
  [[nodiscard]] std::string name() const override { return "attention only"; }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override {
    CachePlan plan(static_cast<int>(shape.evaluations.size()), shape.units());
    for (int k = plan.evaluations() / 2; k < plan.evaluations(); ++k) {
      for (int unit = 0; unit < plan.units(); unit += 2) plan.reuse(k, unit);
    }
    return plan;
  }
};

TEST(PlanRunTest, EveryPolicyRunsTheBranchesOfItsPlan) {
  const RunShape shape = ddim_shape(3, 10);
  std::vector<std::unique_ptr<CachePolicy>> policies;
  policies.push_back(std::make_unique<ComputeAll>());
  policies.push_back(std::make_unique<EveryN>(2));
  policies.push_back(std::make_unique<EveryN>(4));
  policies.push_back(std::make_unique<LearnedRouter>(test::random_router(10, 6, 1), 0.5));
  policies.push_back(std::make_unique<LearnedRouter>(test::random_router(10, 6, 1), 0.8));
  policies.push_back(std::make_unique<AttentionOnly>());
  std::set<std::map<int, std::vector<int>>> different;
  for (const auto& policy : policies) {
    SCOPED_TRACE(policy->name());
    CacheStore store = make_store();
    FakeModel model(3, {2, 3, 4});
    const CachePlan plan = *policy->plan(shape);
    EXPECT_EQ(run(*policy, shape, store, model), plan.computed());
    expect_carried_out(plan, model);
    different.insert(model.ran);
  }
  EXPECT_EQ(different.size(), policies.size());
}

TEST(PlanRunTest, HoldsWhatThePlanSays) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    const double probability = 0.1 + 0.8 * (seed % 9) / 8.0;
    const CachePlan plan = test::random_plan(12, 6, probability, seed);
    CacheStore store = make_store();
    PlanRun cache(plan, store);
    FakeModel model(3, {2, 3, 4});
    for (int k = 0; k < plan.evaluations(); ++k) {
      Evaluation evaluation;
      evaluation.index = k;
      model.forward(k, cache.begin(evaluation));
    }
    expect_carried_out(plan, model);
    EXPECT_EQ(store.peak_bytes(), static_cast<std::size_t>(plan.peak_stored()) * slot_bytes);
    EXPECT_EQ(store.bytes(), 0U) << "everything is dropped after its last read";
  }
}

TEST(PlanRunTest, StoresNothingWithoutReuse) {
  CacheStore store = make_store();
  FakeModel model(3, {2, 3, 4});
  EXPECT_EQ(run(ComputeAll(), ddim_shape(3, 5), store, model), 30);
  EXPECT_EQ(store.peak_bytes(), 0U);
}

// The value that is kept lies in the slot at once: nothing is copied.
TEST(PlanRunTest, AReusedValueIsTheStoredMemory) {
  CacheStore store = make_store();
  FakeModel model(1, {2, 3, 4});
  run(EveryN(3), ddim_shape(1, 3), store, model);
  EXPECT_EQ(model.value_addresses[1], model.value_addresses[0]);
  EXPECT_EQ(model.value_addresses[2], model.value_addresses[0]);
}

TEST(PlanRunTest, PassesHaveValuesOfTheirOwn) {
  CacheStore store = make_store();
  CachePlan plan(2, 2);
  plan.reuse(1, 0);
  PlanRun cache(plan, store);
  FakeModel model(1, {2, 3, 4});
  Evaluation evaluation;
  model.forward(0, cache.begin(evaluation));
  evaluation.pass = 1;
  model.forward(7, cache.begin(evaluation));  // the fake model's values say 700, 701
  evaluation.index = 1;
  model.forward(8, cache.begin(evaluation));
  evaluation.pass = 0;
  model.forward(1, cache.begin(evaluation));
  EXPECT_EQ(model.values[8][0], 700);
  EXPECT_EQ(model.values[1][0], 0);
}

TEST(PlanRunTest, SaysWhenTheModelDoesNotFit) {
  CacheStore store = make_store();
  PlanRun cache(CachePlan(2, 2), store);
  Evaluation evaluation;
  evaluation.index = 2;
  EXPECT_THAT(message_of<Error>([&] { cache.begin(evaluation); }),
              HasSubstr("evaluation 2 is outside the plan, which has evaluations 0 to 1"));
  evaluation.index = 0;
  FakeModel deeper(2, {2, 3, 4});
  EXPECT_THAT(message_of<Error>([&] { deeper.forward(0, cache.begin(evaluation)); }),
              AllOf(HasSubstr("unit 2 is outside the plan"), HasSubstr("another depth")));
}

TEST(PlanRunTest, SaysWhenAnEvaluationWasLeftOut) {
  CacheStore store = make_store();
  CachePlan plan(2, 2);
  plan.reuse(1, 1);
  PlanRun cache(plan, store);
  Evaluation evaluation;
  evaluation.index = 1;
  FakeModel model(1, {2, 3, 4});
  EXPECT_THAT(message_of<Error>([&] { model.forward(1, cache.begin(evaluation)); }),
              HasSubstr("nothing is stored for pass 0, unit 1"));
}

// Reuses a branch as long as its stored value is below a bound: known only while the run goes on.
class BelowBound final : public CachePolicy {
 public:
  explicit BelowBound(double bound) : bound_(bound) {}
  [[nodiscard]] std::string name() const override { return "below bound"; }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape&) const override {
    return std::nullopt;
  }
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape&, CacheStore& store,
                                                const Recall*) const override {
    return std::make_unique<Run>(bound_, store);
  }

 private:
  class Run final : public CacheRun, public BranchRunner {
   public:
    Run(double bound, CacheStore& store) : bound_(bound), store_(store) {}
    BranchRunner& begin(const Evaluation& evaluation) override {
      first_ = evaluation.index == 0;
      return *this;
    }
    BranchValue branch(BranchId id, BranchFunction compute) override {
      const SlotId slot{0, id.unit(), 0};
      BranchValue value;
      const bool reuse = !first_ && store_.stored(slot).mean().item<double>() < bound_;
      value.push_back(Term{reuse ? store_.stored(slot) : compute(store_.slot(slot)), 1});
      return value;
    }

   private:
    double bound_;
    CacheStore& store_;
    bool first_ = true;
  };
  double bound_;
};

TEST(AdaptivePolicyTest, DecidesWhileTheRunGoesOn) {
  CacheStore store = make_store();
  FakeModel model(2, {2, 3, 4});
  // Evaluation 0 computes 0, 1, 2, 3. With bound 2, units 0 and 1 are reused for good.
  EXPECT_EQ(run(BelowBound(2), ddim_shape(2, 3), store, model), 4 + 2 + 2);
  EXPECT_EQ(model.ran[1], (std::vector<int>{2, 3}));
  EXPECT_EQ(model.values[2], (std::vector<float>{0, 1, 202, 203}));
}

class NeitherPlanNorStart final : public CachePolicy {
 public:
  [[nodiscard]] std::string name() const override { return "neither"; }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape&) const override {
    return std::nullopt;
  }
};

TEST(RecallingTest, GivesTheForecastAndStoresNoMoreThanThePlanSays) {
  const auto shape = ddim_shape(2, 9);
  const Recalling policy(std::make_shared<EveryN>(2), std::make_shared<Taylor>(1));
  EXPECT_EQ(policy.name(), "every 2, taylor:1");
  CacheStore store = make_store();
  FakeModel model(2, {2, 3, 4});
  EXPECT_EQ(run(policy, shape, store, model), 5 * 4);
  EXPECT_EQ(model.values.at(1), (std::vector<float>{0, 1, 2, 3})) << "nothing to look back on yet";
  // 200 + unit in evaluation 2, 100 more in every later one.
  EXPECT_EQ(model.values.at(3), (std::vector<float>{300, 301, 302, 303}));
  EXPECT_EQ(model.values.at(7), (std::vector<float>{700, 701, 702, 703}));
  const CachePlan plan = *policy.plan(shape);
  EXPECT_EQ(plan.peak_stored(), 8);
  EXPECT_EQ(store.peak_bytes(), 8 * slot_bytes);
  EXPECT_EQ(store.bytes(), 0U);
  EXPECT_THAT(message_of<InputError>([] { Recalling(nullptr, std::make_shared<Latest>()); }),
              HasSubstr("needs both"));
}

class PlansTooLittle final : public CachePolicy {
 public:
  [[nodiscard]] std::string name() const override { return "too little"; }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override {
    return CachePlan(1, shape.units());
  }
};

TEST(CachePolicyTest, SaysWhatAPolicyMustDo) {
  CacheStore store = make_store();
  EXPECT_THAT(message_of<Error>(
                  [&] { (void)NeitherPlanNorStart().start(ddim_shape(1, 2), store, nullptr); }),
              AllOf(HasSubstr("policy 'neither'"), HasSubstr("must override start()")));
  EXPECT_THAT(
      message_of<Error>([&] { (void)PlansTooLittle().start(ddim_shape(1, 2), store, nullptr); }),
      HasSubstr("policy 'too little' planned 1 evaluations of 2 units, the run has 2 of 2"));
}

// A trunk that notes the ranges of blocks it was asked for.
class FakeTrunk final : public Trunk {
 public:
  [[nodiscard]] int blocks() const override { return 3; }
  void run(int first, int last) override { ranges.emplace_back(first, last); }
  void run(int, int, std::span<const std::int64_t>) override { throw Error("not asked for here"); }
  at::Tensor attention_input(int) override { throw Error("not asked for here"); }
  ops::ResidualStream& stream() override { throw Error("not asked for here"); }
  std::vector<std::pair<int, int>> ranges;
};

class LastBlockOnly final : public BranchRunner {
 public:
  BranchValue branch(BranchId, BranchFunction) override { return {}; }
  void trunk(Trunk& trunk) override { trunk.run(trunk.blocks() - 1, trunk.blocks()); }
};

TEST(CountingRunnerTest, PassesTheTrunkOn) {
  LastBlockOnly inner;
  CountingRunner counting(inner, 2);
  FakeTrunk trunk;
  counting.trunk(trunk);
  EXPECT_EQ(trunk.ranges, (std::vector<std::pair<int, int>>{{2, 3}}));
}

TEST(CountingRunnerTest, CountsOnlyWhatIsComputed) {
  LastBlockOnly inner;
  CountingRunner counting(inner, 2);
  counting.branch({0, BranchKind::mlp}, [](at::Tensor out) { return out; });
  EXPECT_EQ(counting.computed(), 0);
}

TEST(CountingRunnerTest, CountsByUnit) {
  ComputeAllRunner inner;
  std::vector<double> by_unit(4);
  CountingRunner counting(inner, 8, &by_unit);
  const auto rows = [](std::int64_t n) { return [n](at::Tensor) { return at::zeros({n}); }; };
  counting.branch({1, BranchKind::attention}, rows(8));
  counting.branch({1, BranchKind::attention}, rows(8));
  counting.branch({0, BranchKind::mlp}, rows(3));
  EXPECT_EQ(by_unit, (std::vector<double>{0, 0.375, 2, 0}));
  EXPECT_EQ(counting.computed(), 2.375);
}

}  // namespace
}  // namespace l2c
