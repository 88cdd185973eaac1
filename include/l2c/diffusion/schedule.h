// Noise schedules of the official DiT code. Plain data, no LibTorch header behind it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace l2c {

// The timesteps, of `train_steps`, that an official spacing string keeps, ascending. "20": 20 steps
// with a fractional stride; "ddim20": every (1000/20)-th; "10,15,20": sections of equal length with
// so many steps each; "": all. Note that "20" is not "ddim20". Reference: space_timesteps in
// diffusion/respace.py. Throws InputError: not a number, 0 or more steps than there are, a ddim
// count without an integer stride.
std::vector<int> space_timesteps(std::string_view spacing, int train_steps = 1000);

// Tables of a spaced schedule, all of size steps(), in double; index 0 is the cleanest step.
// Reference: GaussianDiffusion and SpacedDiffusion (linear betas 0.0001 ... 0.02 over 1000 steps,
// recomputed from ratios of alphas_cumprod).
struct Schedule {
  std::string spacing;
  std::vector<int> timestep_map;  // spaced index -> timestep of the model
  std::vector<double> betas;
  std::vector<double> alphas_cumprod;
  std::vector<double> alphas_cumprod_prev;
  std::vector<double> alphas_cumprod_next;
  std::vector<double> sqrt_alphas_cumprod;
  std::vector<double> sqrt_one_minus_alphas_cumprod;
  std::vector<double> sqrt_recip_alphas_cumprod;
  std::vector<double> sqrt_recipm1_alphas_cumprod;
  std::vector<double> posterior_variance;
  std::vector<double> posterior_log_variance_clipped;
  std::vector<double> posterior_mean_coef1;
  std::vector<double> posterior_mean_coef2;

  [[nodiscard]] int steps() const { return static_cast<int>(timestep_map.size()); }
};

Schedule make_schedule(std::string_view spacing);

// How much the square of an error of epsilon matters in a DDIM step (eta 0) from spaced index i.
// With sigma the noise in units of x_0, sqrt(1 / alphas_cumprod - 1), the step adds the error
// times (sigma_i - sigma_next) to the sample. Later steps take it for noise and remove it as far
// as it is small beside the noise that is still there, so its square counts over
// sigma_next^2 + sigma_0^2 (sigma_0, what is left at the last step, so that its weight is 1).
// Throws InputError for an i outside the schedule.
double error_weight(const Schedule& schedule, int i);

}  // namespace l2c
