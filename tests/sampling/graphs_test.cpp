// Runs whose model calls are recorded and repeated, against the same runs without: on the CPU with
// a recorder that keeps the work itself, on a GPU with CUDA graphs.
#include "l2c/sampling/graphs.h"

#include <ATen/Context.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "l2c/cache/plan_places.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/recalling.h"
#include "l2c/cache/router.h"
#include "l2c/cache/runner.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/diffusion/steps.h"
#include "l2c/sampling/denoise.h"
#include "l2c/sampling/pipeline.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

// What the fake recorders of a test did.
struct Tally {
  int recorders = 0, ran = 0, recorded = 0, replayed = 0;
  bool cannot_record = false, no_memory = false;
};

class FakeGraph final : public RecordedGraph {
 public:
  FakeGraph(GraphRecorder::Work work, Tally& tally) : work_(std::move(work)), tally_(tally) {}
  void replay() override {
    ++tally_.replayed;
    work_();
  }

 private:
  GraphRecorder::Work work_;
  Tally& tally_;
};

// Like a capture, recording does not do the work.
class FakeRecorder final : public GraphRecorder {
 public:
  explicit FakeRecorder(Tally& tally) : tally_(tally) { ++tally_.recorders; }
  void run(const Work& work) override {
    ++tally_.ran;
    work();
  }
  std::unique_ptr<RecordedGraph> record(const Work& work) override {
    ++tally_.recorded;
    TORCH_CHECK(!tally_.cannot_record, "operation not permitted when stream is capturing");
    TORCH_CHECK_WITH(OutOfMemoryError, !tally_.no_memory, "out of memory");
    return std::make_unique<FakeGraph>(work, tally_);
  }

 private:
  Tally& tally_;
};

GraphRecorderFactory fake(Tally& tally) {
  return [&tally] { return std::make_unique<FakeRecorder>(tally); };
}

// Notes where the model's inputs and the reused branches lie: a graph reads the same addresses for
// ever.
class WatchedModel final : public Denoiser {
 public:
  explicit WatchedModel(std::shared_ptr<const Denoiser> model) : model_(std::move(model)) {}
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                     BranchRunner& runner) const override {
    inputs.insert({x.data_ptr(), t.data_ptr(), y.data_ptr()});
    Watcher watcher(runner, *this);
    return model_->forward(x, t, y, watcher);
  }
  [[nodiscard]] const DenoiserInfo& info() const override { return model_->info(); }
  [[nodiscard]] const ForwardCost& cost() const override { return model_->cost(); }
  [[nodiscard]] at::Device device() const override { return model_->device(); }

  mutable std::set<std::vector<const void*>> inputs;
  mutable std::map<int, std::set<const void*>> reused, outputs;  // of each unit

 private:
  class Watcher final : public BranchRunner {
   public:
    Watcher(BranchRunner& inner, const WatchedModel& model) : inner_(inner), model_(model) {}
    BranchValue branch(BranchId id, BranchFunction compute) override {
      bool computed = false;
      auto value = inner_.branch(id, [&](at::Tensor out) {
        computed = true;
        if (out.defined()) model_.outputs[id.unit()].insert(out.data_ptr());
        return compute(std::move(out));
      });
      if (!computed) model_.reused[id.unit()].insert(value[0].value.data_ptr());
      return value;
    }

   private:
    BranchRunner& inner_;
    const WatchedModel& model_;
  };
  std::shared_ptr<const Denoiser> model_;
};

struct Outcome {
  DenoiseResult result;
  std::vector<double> computed;  // in each evaluation
};

struct Settings {
  std::string spacing = "20";
  double guidance = 4;
  std::int64_t images = 3;
  std::int64_t seed = 61;
  std::stop_token stop{};
  std::function<void(const StepView&)> observer{};
};

Outcome run(const Denoiser& model, const CachePolicy& policy, GraphSet* graphs,
            const Settings& settings = {}) {
  const auto schedule = make_schedule(settings.spacing);
  const auto device = model.device();
  at::manual_seed(static_cast<std::uint64_t>(settings.seed));
  const auto noise = at::randn({settings.images, 4, 8, 8}).to(device);
  const auto labels = at::randint(0, 10, {settings.images}, at::kLong).to(device);
  Outcome outcome;
  const DenoiseJob job{
      .model = model,
      .schedule = schedule,
      .policy = policy,
      .step = [&](int i, int /*evaluation*/, const at::Tensor& x,
                  const at::Tensor& output) { return ddim_step(schedule, i, x, output, 0, {}); },
      .guidance = {.scale = settings.guidance, .channels = 3},
      .sampler = "ddim",
      .stop = settings.stop,
      .observer =
          [&](const StepView& view) {
            outcome.computed.push_back(view.computed);
            if (settings.observer) settings.observer(view);
          },
      .graphs = graphs};
  outcome.result = denoise(job, noise, labels);
  return outcome;
}

void expect_same(const Outcome& a, const Outcome& b, const std::string& what) {
  test::expect_equal(a.result.latents, b.result.latents, what);
  EXPECT_EQ(a.result.computed_by_unit, b.result.computed_by_unit) << what;
  EXPECT_EQ(a.computed, b.computed) << what;
}

LearnedRouter router(double threshold, const char* file = "router_random.pt") {
  return {Router::load(test::data(std::string("l2c/") + file)), threshold};
}

// A graph each: what is computed, and how and from where the rest is read.
std::map<std::string, int> uses_of_masks(const CachePolicy& policy,
                                         const std::string& spacing = "20") {
  const CachePlan plan = *policy.plan(run_shape(4, make_schedule(spacing), "ddim"));
  const PlanPlaces places(plan);
  std::map<std::string, int> uses;
  for (int k = 0; k < plan.evaluations(); ++k) {
    std::string mask;
    for (int u = 0; u < plan.units(); ++u) {
      if (plan.computes(k, u)) mask += fmt::format("to {};", places.may_go_to(k, u));
      for (const auto& read : places.reads(k, u)) {
        mask += fmt::format("{} of {} ", read.weight, read.place);
      }
    }
    ++uses[mask];
  }
  return uses;
}

struct GraphCase {
  std::string name;
  std::shared_ptr<const CachePolicy> policy;
  std::string spacing = "20";
};

// Otherwise a test's name would hold the bytes of pointers, other ones in every run.
void PrintTo(const GraphCase& graph_case, std::ostream* out) { *out << graph_case.name; }

template <typename Policy>
std::shared_ptr<const CachePolicy> recalling(Policy policy, const char* recall) {
  return std::make_shared<Recalling>(std::make_shared<Policy>(std::move(policy)),
                                     parse_recall(recall));
}

std::vector<GraphCase> graph_cases() {
  return {{"all", std::make_shared<ComputeAll>()},
          {"every2", std::make_shared<EveryN>(2)},
          {"every3", std::make_shared<EveryN>(3)},
          {"router01", std::make_shared<LearnedRouter>(router(0.1))},
          {"router05", std::make_shared<LearnedRouter>(router(0.5))},
          {"router09", std::make_shared<LearnedRouter>(router(0.9))},
          {"reuse_all", std::make_shared<LearnedRouter>(router(0.1, "router_reuse_all.pt"))},
          {"every2_taylor", recalling(EveryN(2), "taylor:1")},
          {"every4_taylor", recalling(EveryN(4, 2), "taylor:3")},
          {"router05_chebyshev", recalling(router(0.5), "chebyshev:2")},
          {"odd_steps", std::make_shared<LearnedRouter>(router(0.5, "router_random25.pt")), "25"}};
}

class Graphs : public testing::TestWithParam<GraphCase> {};

TEST_P(Graphs, GiveTheSameBitsAndCountsAsDirectCalls) {
  const auto model = test::tiny_model();
  for (const double guidance : {1.0, 4.0}) {
    Settings settings{.spacing = GetParam().spacing, .guidance = guidance};
    Tally tally;
    GraphSet graphs(fake(tally));
    const auto& policy = *GetParam().policy;
    for (const int seed : {1, 2, 3}) {
      settings.seed = seed;
      expect_same(run(*model, policy, &graphs, settings), run(*model, policy, nullptr, settings),
                  fmt::format("guidance {}, micro-batch {}", guidance, seed));
    }
    EXPECT_EQ(tally.recorders, 1);
  }
}

TEST_P(Graphs, AreAsManyAsThePlanHasMasks) {
  const auto model = test::tiny_model();
  const auto& [name, policy, spacing] = GetParam();
  const auto uses = uses_of_masks(*policy, spacing);
  int twice = 0, evaluations = 0;
  for (const auto& [mask, count] : uses) {
    twice += count > 1;
    evaluations += count;
  }
  const auto masks = static_cast<int>(uses.size());
  Tally tally;
  GraphSet graphs(fake(tally));
  run(*model, *policy, &graphs, {.spacing = spacing});
  EXPECT_EQ(graphs.recorded(), twice) << "a mask used once is not worth a graph";
  EXPECT_EQ(tally.ran, masks);
  EXPECT_EQ(tally.replayed, evaluations - masks);
  run(*model, *policy, &graphs, {.spacing = spacing, .seed = 2});
  EXPECT_EQ(graphs.recorded(), masks);
  EXPECT_EQ(tally.recorded, masks);
  EXPECT_EQ(tally.ran, masks) << "the second micro-batch only repeats";
  EXPECT_EQ(tally.replayed, 2 * evaluations - masks);
}

TEST_P(Graphs, ReadAndWriteTheSameMemoryInEveryCall) {
  const WatchedModel model(test::tiny_model());
  const auto& [name, policy, spacing] = GetParam();
  const PlanPlaces places(*policy->plan(run_shape(4, make_schedule(spacing), "ddim")));
  Tally tally;
  GraphSet graphs(fake(tally));
  for (const int seed : {1, 2}) run(model, *policy, &graphs, {.spacing = spacing, .seed = seed});
  EXPECT_EQ(model.inputs.size(), 1U);
  for (const auto& [unit, addresses] : model.reused) {
    EXPECT_LE(static_cast<int>(addresses.size()), places.of_unit(unit)) << "unit " << unit;
    EXPECT_EQ(static_cast<int>(model.outputs[unit].size()), places.of_unit(unit))
        << "unit " << unit;
    for (const void* address : addresses) EXPECT_TRUE(model.outputs[unit].contains(address));
  }
  EXPECT_EQ(model.outputs.size(), model.reused.size()) << "only what is reused has a slot";
}

INSTANTIATE_TEST_SUITE_P(Policies, Graphs, testing::ValuesIn(graph_cases()),
                         [](const auto& param) { return param.param.name; });

TEST(GraphSet, MakesNewGraphsForAnotherBatchSizeOrPlan) {
  const auto model = test::tiny_model();
  const EveryN policy(2);
  Tally tally;
  GraphSet graphs(fake(tally));
  run(*model, policy, &graphs);
  const Settings last{.images = 2};
  expect_same(run(*model, policy, &graphs, last), run(*model, policy, nullptr, last), "fewer rows");
  EXPECT_EQ(tally.recorders, 2);
  expect_same(run(*model, EveryN(3), &graphs, last), run(*model, EveryN(3), nullptr, last),
              "another plan");
  EXPECT_EQ(tally.recorders, 3);
  const auto other = test::tiny_model();
  run(*other, EveryN(3), &graphs, last);
  EXPECT_EQ(tally.recorders, 4) << "another model";
  run(*other, EveryN(3), &graphs, {.guidance = 1, .images = 4});
  EXPECT_EQ(tally.recorders, 4) << "four rows again, though none of them guided";
  expect_same(run(*other, EveryN(3), &graphs, last), run(*other, EveryN(3), nullptr, last),
              "guided again");
}

TEST(GraphSet, KeepsWhatIsEverReused) {
  const auto model = test::tiny_model();
  const auto policy = router(0.9);
  Tally tally;
  GraphSet graphs(fake(tally));
  const auto with = run(*model, policy, &graphs).result;
  const auto without = run(*model, policy, nullptr).result;
  const CachePlan plan = *policy.plan(run_shape(4, make_schedule("20"), "ddim"));
  EXPECT_EQ(with.cache_bytes,
            static_cast<std::size_t>(PlanPlaces(plan).in_all()) * 2 * 3 * 16 * 64 * sizeof(float));
  EXPECT_GE(with.cache_bytes, without.cache_bytes);
  EXPECT_EQ(run(*model, ComputeAll(), &graphs).result.cache_bytes, 0U);
}

TEST(GraphSet, ServesTheNextRunAfterACancelledOne) {
  const auto model = test::tiny_model();
  const EveryN policy(2);
  Tally tally;
  GraphSet graphs(fake(tally));
  std::stop_source stop;
  Settings settings{.stop = stop.get_token(), .observer = [&](const StepView& view) {
                      if (view.evaluation.index == 6) stop.request_stop();
                    }};
  try {
    run(*model, policy, &graphs, settings);
    FAIL() << "was not cancelled";
  } catch (const Cancelled& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("before step 8 of 20"));
  }
  EXPECT_EQ(tally.ran + tally.replayed, 7);
  expect_same(run(*model, policy, &graphs), run(*model, policy, nullptr), "the next run");
  EXPECT_EQ(tally.recorders, 1);
}

// A policy with a run of its own may do more than its plan says.
TEST(GraphSet, LeavesPoliciesWithARunOfTheirOwnAlone) {
  class Own final : public CachePolicy {
   public:
    [[nodiscard]] std::string name() const override { return "own"; }
    [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override {
      return EveryN(2).plan(shape);
    }
    [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                  const Recall* recall) const override {
      return std::make_unique<Run>(CachePolicy::start(shape, store, recall));
    }

   private:
    class Run final : public CacheRun {
     public:
      explicit Run(std::unique_ptr<CacheRun> inner) : inner_(std::move(inner)) {}
      BranchRunner& begin(const Evaluation& evaluation) override {
        return inner_->begin(evaluation);
      }

     private:
      std::unique_ptr<CacheRun> inner_;
    };
  };
  const auto model = test::tiny_model();
  Tally tally;
  GraphSet graphs(fake(tally));
  expect_same(run(*model, Own(), &graphs), run(*model, EveryN(2), nullptr), "own run");
  EXPECT_EQ(tally.recorders, 0);
}

TEST(GraphSet, GoesOnWithoutWhenRecordingFails) {
  const auto model = test::tiny_model();
  Tally tally;
  tally.cannot_record = true;
  GraphSet graphs(fake(tally));
  std::vector<std::string> warnings;
  set_log_handler([&](LogLevel level, std::string_view message) {
    if (level == LogLevel::warning) warnings.emplace_back(message);
  });
  const auto with = run(*model, EveryN(2), &graphs);
  set_log_handler({});
  expect_same(with, run(*model, EveryN(2), nullptr), "without graphs");
  EXPECT_EQ(tally.recorded, 1) << "tried once";
  EXPECT_EQ(graphs.recorded(), 0);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], testing::HasSubstr("not permitted when stream is capturing"));
}

TEST(GraphSet, WantOfMemoryReachesTheCaller) {
  const auto model = test::tiny_model();
  Tally tally;
  tally.no_memory = true;
  GraphSet graphs(fake(tally));
  EXPECT_THROW(run(*model, EveryN(2), &graphs), c10::OutOfMemoryError);
}

TEST(GraphSet, NeedsSomethingThatRecords) {
  EXPECT_THAT([] { GraphSet({}); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("record")));
  EXPECT_FALSE(cuda_graphs(at::kCPU)) << "there is nothing to record on the CPU";
}

TEST(GraphSet, OnTheCpuTheRequestsOptionChangesNothing) {
  const Pipeline pipeline(test::tiny_model());
  Request request;
  request.labels = {1, 2, 3};
  request.steps = 6;
  request.batch_size = 2;
  request.cache = std::make_shared<EveryN>(2);
  EXPECT_TRUE(request.cuda_graphs);
  const auto with = pipeline.sample(request);
  request.cuda_graphs = false;
  const auto without = pipeline.sample(request);
  EXPECT_EQ(with.latents.values, without.latents.values);
  EXPECT_EQ(with.stats.computed, without.stats.computed);
}

// The real thing.
class CudaGraphs : public testing::TestWithParam<GraphCase> {};

TEST_P(CudaGraphs, GiveWhatDirectCallsGive) {
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "no GPU for cuda:0: no graph was captured";
  const at::Device device(at::kCUDA, 0);
  for (const auto products : {at::kFloat, at::kBFloat16}) {
    const auto model = DiT::load(test::tiny_config(), test::tiny_checkpoint(), device, products);
    GraphSet graphs(cuda_graphs(device));
    const auto& [name, policy, spacing] = GetParam();
    for (const int seed : {1, 2, 3}) {
      const Settings settings{.spacing = spacing, .seed = seed};
      const auto with = run(*model, *policy, &graphs, settings);
      const auto without = run(*model, *policy, nullptr, settings);
      EXPECT_LT(test::relative_error(with.result.latents, without.result.latents), 1e-5) << seed;
      EXPECT_EQ(with.result.computed_by_unit, without.result.computed_by_unit);
    }
    EXPECT_EQ(graphs.recorded(), static_cast<int>(uses_of_masks(*policy, spacing).size()));
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, CudaGraphs, testing::ValuesIn(graph_cases()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace l2c
