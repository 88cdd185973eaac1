#include "l2c/training/step_placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/cache/pricing.h"
#include "l2c/cache/recalling.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/guidance.h"
#include "l2c/diffusion/steps.h"
#include "l2c/sampling/planning.h"
#include "l2c/training/router_placement.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::Throws;
using testing::ThrowsMessage;
using Steps = std::vector<int>;

constexpr int units = 8;
constexpr double scale = 3;

struct Setting {
  explicit Setting(const std::string& spacing)
      : schedule(make_schedule(spacing)),
        runs{.model = *model,
             .schedule = schedule,
             .guidance = {.scale = scale, .channels = 3},
             .noise = noise(),
             .labels = at::tensor({1, 7, 3}, at::kLong)} {}
  static at::Tensor noise() {
    at::manual_seed(4);
    return at::randn({3, 4, 8, 8});
  }
  std::shared_ptr<const DiT> model = test::tiny_model();
  Schedule schedule;
  PlacementRuns runs;
};

// Computes everything and keeps it, or gives what was kept: of all units in the same evaluations.
class ByHand final : public BranchRunner {
 public:
  BranchValue branch(BranchId id, BranchFunction compute) override {
    auto& of_unit = kept[static_cast<std::size_t>(id.unit())];
    if (!reuse) of_unit = compute({}).clone();
    return single(of_unit);
  }
  std::vector<at::Tensor> kept = std::vector<at::Tensor>(units);
  bool reuse = false;
};

struct Sampled {
  at::Tensor x;
  double local = 0;
};

// With the latest values.
Sampled by_hand(const Setting& setting, const std::set<int>& full) {
  const at::NoGradGuard no_grad;
  const auto& [model, schedule, guidance, noise, labels] = setting.runs;
  const at::Tensor y = at::cat({labels, at::full_like(labels, *model.info().null_label)});
  ByHand runner;
  Sampled run{noise};
  for (int k = 0; k < schedule.steps(); ++k) {
    const int row = schedule.steps() - 1 - k;
    const auto t = at::full({6}, schedule.timestep_map[static_cast<std::size_t>(row)], at::kLong);
    const auto output = [&](BranchRunner& with) {
      return guide(model.forward(at::cat({run.x, run.x}), t, y, with), scale, 3);
    };
    runner.reuse = full.count(k) == 0;
    const at::Tensor student = output(runner);
    ComputeAllRunner all;
    const at::Tensor difference = (output(all) - student).slice(1, 0, 4);
    run.local += error_weight(schedule, row) * difference.square().mean().item<double>();
    run.x = ddim_step(schedule, row, run.x, student, 0, {}).sample;
  }
  return run;
}

CachePlan plan_of(const Steps& full, int steps) {
  CachePlan plan(steps, units);
  for (int k = 0; k < steps; ++k) {
    if (std::count(full.begin(), full.end(), k) > 0) continue;
    for (int unit = 0; unit < units; ++unit) plan.reuse(k, unit);
  }
  return plan;
}

TEST(CacheDeviationTest, IsThatOfARunByHand) {
  const Setting setting("7");
  const Sampled all = by_hand(setting, {0, 1, 2, 3, 4, 5, 6});
  const Sampled cached = by_hand(setting, {0, 2, 4, 6});
  const auto error = cache_deviation(setting.runs, EveryN(2), all.x);
  EXPECT_GT(cached.local, 0);
  EXPECT_NEAR(error.local, cached.local, 1e-4 * cached.local);
  const double drift = ((cached.x - all.x).square().mean() / all.x.var()).item<double>();
  EXPECT_GT(drift, 0);
  EXPECT_NEAR(error.drift, drift, 1e-4 * drift);
  EXPECT_DOUBLE_EQ(error.total(), error.local + 30 * error.drift);
  const auto none = cache_deviation(setting.runs, ComputeAll(), all.x);
  EXPECT_EQ(none.local, 0);
  EXPECT_LT(none.drift, 1e-10);
}

// No neighbour is better.
TEST(StepPlacement, IsALocalOptimum) {
  const Setting setting("8");
  const auto recall = parse_recall("taylor:1");
  int calls = 0;
  double last_best = 0;
  const auto placed =
      place_full_steps(setting.runs, 4, recall, nullptr, [&](int tried, double best) {
        EXPECT_EQ(tried, ++calls);
        last_best = best;
      });
  EXPECT_EQ(placed.tried, calls);
  EXPECT_DOUBLE_EQ(placed.error.total(), last_best);
  ASSERT_EQ(placed.full_steps.size(), 4U);
  EXPECT_EQ(placed.full_steps.front(), 0);
  EXPECT_TRUE(std::is_sorted(placed.full_steps.begin(), placed.full_steps.end()));
  const at::Tensor full = by_hand(setting, {0, 1, 2, 3, 4, 5, 6, 7}).x;
  class Planned final : public CachePolicy {
   public:
    explicit Planned(CachePlan plan) : plan_(std::move(plan)) {}
    [[nodiscard]] std::string name() const override { return "planned"; }
    [[nodiscard]] std::optional<CachePlan> plan(const RunShape&) const override { return plan_; }

   private:
    CachePlan plan_;
  };
  const auto total = [&](const Steps& steps) {
    const Recalling policy(std::make_shared<Planned>(plan_of(steps, 8)), recall);
    return cache_deviation(setting.runs, policy, full).total();
  };
  EXPECT_NEAR(total(placed.full_steps), placed.error.total(), 1e-4 * placed.error.total());
  for (std::size_t i = 1; i < 4; ++i) {
    for (const int by : {-2, -1, 1, 2}) {
      Steps moved = placed.full_steps;
      moved[i] += by;
      if (moved[i] < 1 || moved[i] > 7) continue;
      std::sort(moved.begin(), moved.end());
      if (std::adjacent_find(moved.begin(), moved.end()) != moved.end()) continue;
      EXPECT_GE(total(moved), (1 - 1e-4) * placed.error.total());
    }
  }
}

TEST(StepPlacement, TakesAnyNumber) {
  const Setting setting("5");
  const auto one = place_full_steps(setting.runs, 1, parse_recall("latest"));
  EXPECT_EQ(one.full_steps, Steps{0});
  const auto all = place_full_steps(setting.runs, 5, parse_recall("latest"));
  EXPECT_EQ(all.full_steps, (Steps{0, 1, 2, 3, 4}));
  EXPECT_EQ(all.error.local, 0);
  for (const int count : {0, 6}) {
    EXPECT_THAT([&] { (void)place_full_steps(setting.runs, count, parse_recall("latest")); },
                ThrowsMessage<InputError>(HasSubstr("give 1 to 5")));
  }
}

TEST(StepPlacement, CanBeStopped) {
  const Setting setting("8");
  std::stop_source source;
  const auto stop_soon = [&](int tried, double) {
    if (tried == 3) source.request_stop();
  };
  EXPECT_THAT(
      [&] {
        (void)place_full_steps(setting.runs, 4, parse_recall("latest"), nullptr, stop_soon,
                               source.get_token());
      },
      Throws<Cancelled>());
}

PlacementOptions options_for(int full_steps) {
  PlacementOptions options;
  options.spacing = std::string("8");
  options.full_steps = full_steps;
  options.recall = "taylor:1";
  options.images = 2;
  return options;
}

TEST(RouterPlacement, RouterComputesThePlacedSteps) {
  const auto model = test::tiny_model();
  const auto placed = place_router(model, options_for(3));
  const auto file = test::scratch() / "placed.safetensors";
  placed.router.save(file);
  const auto read = Router::load(file);
  EXPECT_EQ(read.info().recall, "taylor:1");
  EXPECT_EQ(read.info().model_fingerprint, model->info().fingerprint);
  EXPECT_THAT(read.info().training, HasSubstr("3 of 8 steps placed by search: 2 images"));
  const auto shape = plan_shape(4, "8", {}, "ddim");
  const auto plan = *LearnedRouter(read, *read.info().threshold).plan(shape);
  for (int k = 0; k < 8; ++k) {
    for (int unit = 0; unit < units; ++unit) {
      EXPECT_EQ(plan.computes(k, unit),
                std::count(placed.full_steps.begin(), placed.full_steps.end(), k) == 1);
    }
  }
  EXPECT_NEAR(placed.ideal_speedup, price(plan, model->cost()).ideal_speedup, 1e-9);
  EXPECT_EQ(place_router(model, options_for(3)).local_error, placed.local_error);
}

TEST(RouterPlacement, EveryOptionCounts) {
  const auto model = test::tiny_model();
  const auto error = [&](auto change) {
    auto options = options_for(3);
    change(options);
    const auto placed = place_router(model, options);
    return placed.local_error + placed.drift;
  };
  const double base = error([](auto&) {});
  EXPECT_NE(base, error([](auto& o) { o.recall = "latest"; }));
  EXPECT_NE(base, error([](auto& o) { o.guidance = 2; }));
  EXPECT_NE(base, error([](auto& o) { o.images = 3; }));
  EXPECT_NE(base, error([](auto& o) { o.seed = 1; }));
  EXPECT_NE(base, error([](auto& o) { o.spacing = "10"; }));
  EXPECT_NE(base, error([](auto& o) { o.full_steps = 4; }));
}

TEST(RouterPlacement, ATargetSaysHowManySteps) {
  const auto model = test::tiny_model();
  auto options = options_for(0);
  options.full_steps.reset();
  for (const double target : {1.3, 1.9, 3.0}) {
    options.target_speedup = target;
    const auto placed = place_router(model, options);
    EXPECT_GE(placed.ideal_speedup, 0.98 * target);
    options.target_speedup.reset();
    options.full_steps = static_cast<int>(placed.full_steps.size()) + 1;
    EXPECT_LT(place_router(model, options).ideal_speedup, 0.98 * target) << "one more is too slow";
    options.full_steps.reset();
  }
}

TEST(RouterPlacement, RefusesWhatCannotBe) {
  const auto refuses = [](const char* part, auto change,
                          const std::shared_ptr<const Denoiser>& model = test::tiny_model()) {
    auto options = options_for(3);
    change(options);
    EXPECT_THAT([&] { (void)place_router(model, options); },
                ThrowsMessage<InputError>(HasSubstr(part)));
  };
  refuses("give one of them", [](auto& o) { o.target_speedup = 2; });
  refuses("give one of them", [](auto& o) { o.full_steps.reset(); });
  refuses("9 full steps: give 1 to 8", [](auto& o) { o.full_steps = 9; });
  refuses("the largest possible", [](auto& o) {
    o.full_steps.reset();
    o.target_speedup = 50;
  });
  refuses("a number above 1", [](auto& o) {
    o.full_steps.reset();
    o.target_speedup = 1;
  });
  refuses("taylor:ORDER", [](auto& o) { o.recall = "newton"; });
  refuses("0 images", [](auto& o) { o.images = 0; });
  refuses(
      "without a null label", [](auto& o) { o.guidance = 2; },
      test::tiny_model_without_null_label());
  refuses("not a null pointer", [](auto&) {}, nullptr);
}

}  // namespace
}  // namespace l2c
