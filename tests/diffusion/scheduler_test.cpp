// Schedulers of Diffusers folders. Golden: tests/data/sampling/schedulers.safetensors, made by
// scripts/scheduler_goldens.py with Diffusers 0.42.1.
#include "l2c/diffusion/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class SchedulerGolden : public testing::TestWithParam<std::string> {};

TEST_P(SchedulerGolden, TimestepsAndEveryStep) {
  const auto& name = GetParam();
  const auto golden = io::SafetensorsFile::open(test::data("sampling/schedulers.safetensors"));
  const auto tensor = [&](const char* part) { return golden.tensor(name + "." + part); };
  const auto config = scheduler_config_from_json(golden.metadata().at(name), name);
  const double eta = std::stod(golden.metadata().at(name + ".eta"));
  const at::Tensor timesteps = tensor("timesteps");
  const auto run = plan_scheduler(config, static_cast<int>(timesteps.size(0)));
  const std::vector<std::int64_t> planned(run.timesteps.begin(), run.timesteps.end());
  test::expect_equal(at::tensor(planned), timesteps, name);
  SchedulerSteps steps(run);
  const at::Tensor x = tensor("x");
  at::Tensor sample = x[0];
  for (int k = 0; k < run.steps(); ++k) {
    const at::Tensor noise = eta > 0 ? tensor("noise")[k] : at::Tensor();
    sample = steps.step(k, sample, tensor("epsilon")[k], eta, noise).sample;
    test::expect_close(sample, x[k + 1], 1e-5, "schedulers: " + name);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, SchedulerGolden,
                         testing::Values("ddim_leading", "ddim_leading_7", "ddim_defaults",
                                         "ddim_offset", "ddim_trailing", "ddim_linspace_eta",
                                         "ddim_scaled", "dpm_defaults", "dpm_few", "dpm_one",
                                         "dpm_leading_heun", "dpm_trailing_sigma_min",
                                         "dpm_sigma_min_few", "dpm_sigma_min_euler",
                                         "dpm_sigma_min_no_lower", "dpm_order_1"),
                         [](const auto& param) { return param.param; });

SchedulerConfig ddim() { return {.clip_sample = false}; }

// Trap: as many steps, other timesteps.
TEST(Scheduler, LeadingTimestepsAreNotTheOfficialOnes) {
  const auto run = plan_scheduler(ddim(), 4);
  EXPECT_THAT(run.timesteps, ElementsAre(750, 500, 250, 0));
  EXPECT_THAT(make_schedule("4").timestep_map, ElementsAre(0, 333, 666, 999));
  const auto schedule = run.schedule();
  EXPECT_EQ(schedule.spacing, "DDIMScheduler, leading, 4 steps");
  EXPECT_THAT(schedule.timestep_map, ElementsAre(0, 250, 500, 750));
}

TEST(Scheduler, TheVarianceIsNotUsed) {
  const auto run = plan_scheduler(ddim(), 3);
  const auto x = at::ones({1, 2, 2, 2});
  const auto both = at::arange(16, at::kFloat).view({1, 4, 2, 2});
  SchedulerSteps a(run), b(run);
  test::expect_equal(a.step(0, x, both).sample, b.step(0, x, both.narrow(1, 0, 2)).sample,
                     "sample");
}

TEST(Scheduler, StepsOutOfOrder) {
  const auto run = plan_scheduler(ddim(), 2);
  const auto x = at::zeros({1, 1, 2, 2});
  SchedulerSteps steps(run);
  EXPECT_THAT([&] { steps.step(1, x, x); }, ThrowsMessage<Error>(HasSubstr("step 0 is next")));
  steps.step(0, x, x);
  steps.step(1, x, x);
  EXPECT_THROW(steps.step(2, x, x), Error);
  EXPECT_THAT(
      [&] { SchedulerSteps(run).step(0, x, at::zeros({1, 3, 2, 2})); },
      ThrowsMessage<InputError>(AllOf(HasSubstr("[1, 3, 2, 2]"), HasSubstr("[1, 1, 2, 2]"))));
}

TEST(Scheduler, StepsThatDoNotFit) {
  const auto message = [](SchedulerConfig config, int steps, const char* text) {
    EXPECT_THAT([&] { plan_scheduler(config, steps); }, ThrowsMessage<InputError>(HasSubstr(text)));
  };
  message(ddim(), 0, "0 steps: give 1 to 1000");
  message(ddim(), 1001, "1001 steps: give 1 to 1000");
  message({.steps_offset = 1}, 1000, "asks for timestep 1000");
  message({.kind = SchedulerKind::dpm_solver_multistep}, 1000, "more than the folder's scheduler");
  EXPECT_EQ(plan_scheduler(ddim(), 1000).timesteps.front(), 999);
}

TEST(Scheduler, EtaBeyondTheRoomForNoise) {
  const auto run = plan_scheduler(ddim(), 10);
  const auto x = at::zeros({1, 1, 2, 2});
  EXPECT_THAT([&] { SchedulerSteps(run).step(0, x, x, 5, x); },
              ThrowsMessage<InputError>(HasSubstr("eta 5 adds more noise")));
  EXPECT_THAT([&] { SchedulerSteps(run).step(0, x, x, 0.5); },
              ThrowsMessage<InputError>(HasSubstr("needs noise")));
}

SchedulerConfig parse(const std::string& fields) {
  return scheduler_config_from_json("{" + fields + "}", "s.json");
}

TEST(SchedulerConfigJson, DefaultsOfTheClass) {
  const auto ddim = parse(R"("_class_name": "DDIMScheduler")");
  EXPECT_EQ(ddim.timestep_spacing, TimestepSpacing::leading);
  EXPECT_TRUE(ddim.clip_sample);
  EXPECT_EQ(describe(ddim), "DDIMScheduler, leading");
  const auto dpm = parse(R"("_class_name": "DPMSolverMultistepScheduler")");
  EXPECT_EQ(dpm.timestep_spacing, TimestepSpacing::linspace);
  EXPECT_EQ(describe(dpm), "DPMSolverMultistepScheduler, linspace");
}

// What Python writes, and strings that only look like it.
TEST(SchedulerConfigJson, NumbersThatJsonDoesNotKnow) {
  const auto config = parse(R"("_class_name": "DPMSolverMultistepScheduler",
      "note \"NaN": "-Infinity \\", "lambda_min_clipped": -Infinity, "variance_type": NaN,
      "solver_order": 1)");
  EXPECT_EQ(config.solver_order, 1);
}

TEST(SchedulerConfigJson, WhatIsNotSupportedIsNamed) {
  const std::string ddim = R"("_class_name": "DDIMScheduler", )";
  const std::string dpm = R"("_class_name": "DPMSolverMultistepScheduler", )";
  const auto refused = [](const std::string& fields, const char* message) {
    EXPECT_THAT([&] { parse(fields); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("s.json: "), HasSubstr(message))));
  };
  refused(R"("_class_name": "EulerDiscreteScheduler")",
          R"(_class_name is "EulerDiscreteScheduler"; supported is "DDIMScheduler" or)");
  refused(R"("beta_start": 1)", "_class_name is missing");
  refused(ddim + R"("prediction_type": "v_prediction")", "prediction_type is \"v_prediction\"");
  refused(ddim + R"("beta_schedule": "squaredcos_cap_v2")", "beta_schedule");
  refused(ddim + R"("trained_betas": [0.1])", "trained_betas is a list");
  refused(ddim + R"("thresholding": true)", "thresholding is true");
  refused(ddim + R"("rescale_betas_zero_snr": true)", "rescale_betas_zero_snr");
  refused(ddim + R"("timestep_spacing": "karras")", "timestep_spacing");
  refused(ddim + R"("beta_end": 2)", "beta_end is 2; supported is a number of");
  refused(ddim + R"("num_train_timesteps": 1e9)", "num_train_timesteps");
  refused(ddim + R"("num_train_timesteps": 4000000000)", "num_train_timesteps is 4000000000");
  refused(ddim + R"("steps_offset": -1)", "steps_offset is -1");
  refused(ddim + R"("clip_sample": 1)", "clip_sample is 1; supported is true or false");
  const std::string deep(200000, '[');
  refused(ddim + "\"beta_end\": " + deep + std::string(deep.size(), ']'), "beta_end is a list");
  refused(dpm + R"("algorithm_type": "sde-dpmsolver++")", "algorithm_type");
  refused(dpm + R"("solver_order": 3)", "solver_order is 3");
  refused(dpm + R"("use_karras_sigmas": true)", "use_karras_sigmas is true");
  refused(dpm + R"("lambda_min_clipped": -5.1)", "lambda_min_clipped is -5.1");
  EXPECT_THAT([] { scheduler_config_from_json("[", "s.json"); },
              ThrowsMessage<InputError>(HasSubstr("s.json: not JSON")));
  EXPECT_THAT([] { scheduler_config_from_json("[]", "s.json"); },
              ThrowsMessage<InputError>(HasSubstr("DDIMScheduler")));
}

}  // namespace
}  // namespace l2c
