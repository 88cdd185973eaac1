// The denoising loop against what the official samplers compute, step by step.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/cache/router.h"
#include "l2c/diffusion/steps.h"
#include "l2c/sampling/denoise.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

constexpr double tolerance = 1e-4;  // relative, per step: tests/data's README
constexpr std::int64_t images = 4;  // the goldens hold both halves of the guided batch

struct Trace {
  std::vector<at::Tensor> samples;
  std::vector<at::Tensor> pred_xstarts;
  DenoiseResult result;
};

// The conditional half of a golden's guided batch, on the device under test.
at::Tensor first_images(const io::SafetensorsFile& golden, const std::string& tensor,
                        std::int64_t step = -1) {
  auto value = golden.tensor(tensor);
  if (step >= 0) value = value[step];
  return value.narrow(0, 0, images).to(test::device());
}

Trace run(const std::string& spacing, const CachePolicy& policy, const io::SafetensorsFile& golden,
          bool ddpm = false) {
  const auto model = test::tiny_model();
  const auto schedule = make_schedule(spacing);
  Trace trace;
  const DenoiseJob job{
      .model = *model,
      .schedule = schedule,
      .policy = policy,
      .step =
          [&](int i, int evaluation, const at::Tensor& x, const at::Tensor& output) {
            if (!ddpm) return ddim_step(schedule, i, x, output, 0, {});
            const auto noise = first_images(golden, "noise", evaluation);
            return ddpm_step(schedule, i, x, output, noise);
          },
      .guidance = {.scale = 4, .channels = 3},
      .sampler = ddpm ? "ddpm" : "ddim",
      .stop = {},
      .observer =
          [&](const StepView& view) {
            trace.samples.push_back(view.sample.clone());
            trace.pred_xstarts.push_back(view.pred_xstart.clone());
          }};
  trace.result = denoise(job, first_images(golden, "z"), first_images(golden, "y"));
  return trace;
}

void expect_steps(const Trace& trace, const io::SafetensorsFile& golden, const std::string& name) {
  const auto x = golden.tensor("x");
  ASSERT_EQ(static_cast<std::int64_t>(trace.samples.size()), x.size(0) - 1);
  for (std::size_t k = 0; k < trace.samples.size(); ++k) {
    const auto step = static_cast<std::int64_t>(k);
    test::expect_close(trace.samples[k], x[step + 1].narrow(0, 0, images), tolerance, name + ": x");
    if (golden.contains("pred_xstart")) {
      test::expect_close(trace.pred_xstarts[k],
                         golden.tensor("pred_xstart")[step].narrow(0, 0, images), tolerance,
                         name + ": pred_xstart");
    }
  }
  test::expect_equal(trace.result.latents, trace.samples.back(), name);
}

class Sampling : public testing::TestWithParam<std::string> {};

TEST_P(Sampling, MatchesTheOfficialSamplerStepByStep) {
  const std::string name = GetParam();
  const auto golden = io::SafetensorsFile::open(test::data("sampling/" + name + ".safetensors"));
  const bool ddpm = name.starts_with("ddpm");
  const std::string spacing = name.substr(4, 2);
  expect_steps(run(spacing, ComputeAll(), golden, ddpm), golden, "sampling/" + name);
}

INSTANTIATE_TEST_SUITE_P(Golden, Sampling,
                         testing::Values("ddim20_cfg4", "ddim50_cfg4", "ddpm20_cfg4"),
                         [](const auto& param) { return param.param; });

// Notes which branches really ran.
class Recording final : public CachePolicy {
 public:
  Recording(const CachePolicy& inner, at::Tensor& reused) : inner_(inner), reused_(reused) {}
  [[nodiscard]] std::string name() const override { return inner_.name(); }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override {
    return inner_.plan(shape);
  }
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                const Recall* recall) const override {
    reused_ =
        at::ones({static_cast<std::int64_t>(shape.evaluations.size()), shape.units()}, at::kByte);
    return std::make_unique<Run>(inner_.start(shape, store, recall), reused_);
  }

 private:
  class Run final : public CacheRun, private BranchRunner {
   public:
    Run(std::unique_ptr<CacheRun> inner, at::Tensor reused)
        : inner_(std::move(inner)), reused_(std::move(reused)) {}
    BranchRunner& begin(const Evaluation& evaluation) override {
      evaluation_ = evaluation;
      runner_ = &inner_->begin(evaluation);
      return *this;
    }

   private:
    BranchValue branch(BranchId id, BranchFunction compute) override {
      return runner_->branch(id, [&](at::Tensor out) {
        reused_[evaluation_.index][id.unit()] = 0;
        return compute(std::move(out));
      });
    }
    std::unique_ptr<CacheRun> inner_;
    at::Tensor reused_;
    Evaluation evaluation_;
    BranchRunner* runner_ = nullptr;
  };
  const CachePolicy& inner_;
  at::Tensor& reused_;
};

struct CachedCase {
  const char* file;
  const char* router;
  const char* spacing;
  double threshold;
};

class LearningToCache : public testing::TestWithParam<CachedCase> {};

TEST_P(LearningToCache, MatchesTheOfficialSamplerStepByStep) {
  const auto& param = GetParam();
  const auto golden =
      io::SafetensorsFile::open(test::data(fmt::format("l2c/{}.safetensors", param.file)));
  const LearnedRouter router(Router::load(test::data(fmt::format("l2c/{}.pt", param.router))),
                             param.threshold);
  at::Tensor reused;
  const auto trace = run(param.spacing, Recording(router, reused), golden);
  test::expect_equal(reused, golden.tensor("reuse_mask"), "the branches that ran");
  expect_steps(trace, golden, fmt::format("l2c/{}", param.file));
}

INSTANTIATE_TEST_SUITE_P(
    Golden, LearningToCache,
    testing::Values(CachedCase{"ddim20_random_thr0.1", "router_random", "20", 0.1},
                    CachedCase{"ddim20_random_thr0.9", "router_random", "20", 0.9},
                    CachedCase{"ddim20_boundary_thr0.5", "router_boundary", "20", 0.5},
                    CachedCase{"ddim20_reuse_all_thr0.1", "router_reuse_all", "20", 0.1},
                    CachedCase{"ddim20_reuse_none_thr0.1", "router_reuse_none", "20", 0.1},
                    CachedCase{"ddim25_random_thr0.5", "router_random25", "25", 0.5}),
    [](const auto& param) {
      std::string name = param.param.file;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

TEST(LearningToCache, RouterThatReusesNothingEqualsNoCacheBitForBit) {
  const auto golden = io::SafetensorsFile::open(test::data("sampling/ddim20_cfg4.safetensors"));
  const auto uncached = run("20", ComputeAll(), golden);
  const LearnedRouter nothing(Router::load(test::data("l2c/router_reuse_none.pt")), 0.1);
  const auto cached = run("20", nothing, golden);
  ASSERT_EQ(cached.samples.size(), uncached.samples.size());
  for (std::size_t k = 0; k < uncached.samples.size(); ++k) {
    test::expect_equal(cached.samples[k], uncached.samples[k], fmt::format("step {}", k));
  }
  EXPECT_EQ(cached.result.cache_bytes, 0);
}

TEST(LearningToCache, EveryPolicyChangesWhichBranchesRun) {
  const auto golden = io::SafetensorsFile::open(test::data("sampling/ddim20_cfg4.safetensors"));
  const auto count = [&](const CachePolicy& policy) {
    double sum = 0;
    for (const double n : run("20", policy, golden).result.computed_by_unit) sum += n;
    return sum;
  };
  const Router random = Router::load(test::data("l2c/router_random.pt"));
  EXPECT_EQ(count(ComputeAll()), 160);
  EXPECT_EQ(count(EveryN(2)), 80);
  EXPECT_EQ(count(EveryN(3)), 56);
  EXPECT_EQ(count(LearnedRouter(random, 0.1)), 149);
  EXPECT_EQ(count(LearnedRouter(random, 0.9)), 95);
}

TEST(LearningToCache, StoresWhatThePlanSays) {
  const auto golden = io::SafetensorsFile::open(test::data("sampling/ddim20_cfg4.safetensors"));
  const LearnedRouter router(Router::load(test::data("l2c/router_random.pt")), 0.9);
  const auto trace = run("20", router, golden);
  const auto plan = router.plan(run_shape(4, make_schedule("20"), "ddim"));
  ASSERT_TRUE(plan);
  const std::size_t branch_bytes = 2 * images * 16 * 64 * sizeof(float);
  EXPECT_EQ(trace.result.cache_bytes, static_cast<std::size_t>(plan->peak_stored()) * branch_bytes);
  EXPECT_GT(trace.result.cache_bytes, 0);
}

}  // namespace
}  // namespace l2c
