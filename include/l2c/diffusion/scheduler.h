// The schedulers that folders of Diffusers models name: their timesteps and steps, which are not
// those of the official samplers. Reference: scheduling_ddim.py and
// scheduling_dpmsolver_multistep.py of Diffusers 0.42; DPM-Solver++ (arXiv 2211.01095).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/diffusion/steps.h"

namespace l2c {

enum class SchedulerKind { ddim, dpm_solver_multistep };
enum class TimestepSpacing { leading, linspace, trailing };

// Field names of scheduler_config.json. The model predicts epsilon.
struct SchedulerConfig {
  SchedulerKind kind = SchedulerKind::ddim;
  int num_train_timesteps = 1000;
  double beta_start = 0.0001;
  double beta_end = 0.02;
  bool scaled_linear = false;  // beta_schedule: linear in the square root of beta
  TimestepSpacing timestep_spacing = TimestepSpacing::leading;
  int steps_offset = 0;
  // DDIM's.
  bool set_alpha_to_one = true;
  bool clip_sample = true;
  double clip_sample_range = 1;
  // The multistep solver's (DPM-Solver++).
  int solver_order = 2;  // 1 or 2
  bool midpoint = true;  // solver_type: midpoint, or heun
  bool lower_order_final = true;
  bool euler_at_final = false;
  bool final_sigma_zero = true;  // final_sigmas_type: zero, or sigma_min
};

// From the text of a scheduler_config.json; fields that are left out have Diffusers' defaults of
// their class. `where` (a file) starts the messages. Throws InputError: another class, an option
// that is not carried out here, values out of range.
SchedulerConfig scheduler_config_from_json(std::string_view json, std::string_view where);

// "DDIMScheduler, leading".
std::string describe(const SchedulerConfig& config);

// One run's timesteps and noise levels.
struct SchedulerRun {
  SchedulerConfig config;
  std::vector<int> timesteps;               // strictly descending
  std::vector<float> alphas_cumprod;        // at each timestep
  std::vector<float> alphas_cumprod_after;  // where DDIM's step from there ends
  std::vector<float> sigmas;  // noise in units of x_0 at each timestep, then after the last step

  [[nodiscard]] int steps() const { return static_cast<int>(timesteps.size()); }
  // For the loop and for policies: the timesteps, with describe() and their number as the spacing.
  // The official tables stay empty.
  [[nodiscard]] Schedule schedule() const;
};

// Throws InputError: less than 1 step, more than the spacing can tell apart, or timesteps beyond
// num_train_timesteps (steps_offset).
SchedulerRun plan_scheduler(const SchedulerConfig& config, int steps);

// The steps of one batch, in order: a multistep solver remembers the predictions before. Not
// thread-safe.
class SchedulerSteps {
 public:
  explicit SchedulerSteps(const SchedulerRun& run) : run_(run) {}  // outlives this

  // x [N, C, H, W], model_output [N, C or 2C, H, W] (the variance is not used); evaluation counts
  // from 0, the noisiest. eta and noise as for ddim_step; the multistep solver has none. Throws
  // Error for steps out of order.
  StepResult step(int evaluation, const at::Tensor& x, const at::Tensor& model_output,
                  double eta = 0, const at::Tensor& noise = {});

 private:
  StepResult ddim(std::size_t k, const at::Tensor& x, const at::Tensor& epsilon, double eta,
                  const at::Tensor& noise) const;
  StepResult multistep(std::size_t k, const at::Tensor& x, const at::Tensor& epsilon);
  const SchedulerRun& run_;
  int next_ = 0;
  at::Tensor last_xstart_;  // of the step before; undefined in the first
};

}  // namespace l2c
