#include "l2c/diffusion/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "l2c/core/error.h"

namespace l2c {

namespace {

// fp32, as Diffusers keeps them.
std::vector<float> training_alphas_cumprod(const SchedulerConfig& config) {
  const c10::InferenceMode no_autograd;
  const auto between = [&](double first, double last) {
    return at::linspace(first, last, config.num_train_timesteps, at::kFloat);
  };
  const at::Tensor betas =
      config.scaled_linear
          ? between(std::sqrt(config.beta_start), std::sqrt(config.beta_end)).square()
          : between(config.beta_start, config.beta_end);
  const at::Tensor products = at::cumprod(at::rsub(betas, 1), 0);
  const auto* values = products.const_data_ptr<float>();
  return {values, values + products.numel()};
}

// The k-th of `count` numbers from 0 to `last`, halves rounded to even like NumPy.
int linspace_timestep(int k, int count, int last) {
  if (count == 1) return 0;
  if (k == count - 1) return last;
  return static_cast<int>(std::nearbyint(k * (static_cast<double>(last) / (count - 1))));
}

// A multistep solver leaves out the cleanest of one more timesteps: it ends there.
int timestep(const SchedulerConfig& config, int step, int steps) {
  const int total = config.num_train_timesteps;
  const int left_out = config.kind == SchedulerKind::ddim ? 0 : 1;
  const int ascending = steps - 1 - step + left_out;
  switch (config.timestep_spacing) {
    case TimestepSpacing::leading:
      return ascending * (total / (steps + left_out)) + config.steps_offset;
    case TimestepSpacing::linspace:
      return linspace_timestep(ascending, steps + left_out, total - 1);
    case TimestepSpacing::trailing:
      break;
  }
  const double stride = static_cast<double>(total) / steps;
  return static_cast<int>(std::nearbyint(total - step * stride)) - 1;
}

std::vector<int> timesteps_of(const SchedulerConfig& config, int steps) {
  std::vector<int> timesteps;
  for (int k = 0; k < steps; ++k) timesteps.push_back(timestep(config, k, steps));
  const bool apart = std::ranges::adjacent_find(timesteps, std::less_equal<>()) == timesteps.end();
  if (!apart || timesteps.back() < 0) {
    throw InputError(
        fmt::format("{} steps are more than the folder's scheduler ({}) can tell "
                    "apart of {}: give fewer",
                    steps, describe(config), config.num_train_timesteps));
  }
  if (timesteps.front() >= config.num_train_timesteps) {
    throw InputError(fmt::format(
        "the folder's scheduler ({}) asks for timestep {} with {} steps and steps_offset {}, but "
        "the model was trained on 0 to {}: give another number of steps",
        describe(config), timesteps.front(), steps, config.steps_offset,
        config.num_train_timesteps - 1));
  }
  return timesteps;
}

float sigma_of(float alpha_cumprod) { return std::sqrt((1 - alpha_cumprod) / alpha_cumprod); }

// Where DDIM's step from timestep t ends: a fixed stride below, whatever the next timestep is.
float alpha_after(const SchedulerConfig& config, const std::vector<float>& all, int t, int steps) {
  const int next = t - config.num_train_timesteps / steps;
  if (next >= 0) return all[static_cast<std::size_t>(next)];
  return config.set_alpha_to_one ? 1.0F : all.front();
}

at::Tensor epsilon_of(const at::Tensor& x, const at::Tensor& model_output) {
  const std::int64_t channels = x.size(1);
  const bool fits = model_output.dim() == 4 && model_output.size(0) == x.size(0) &&
                    model_output.sizes().slice(2) == x.sizes().slice(2) &&
                    (model_output.size(1) == channels || model_output.size(1) == 2 * channels);
  if (!fits) {
    throw InputError(fmt::format(
        "the model output has shape [{}]; for a sample of shape [{}] it must be the same or have "
        "twice the channels",
        fmt::join(model_output.sizes(), ", "), fmt::join(x.sizes(), ", ")));
  }
  return model_output.narrow(1, 0, channels);
}

// A noise level as the solver uses it: x = alpha x_0 + sigma epsilon, lambda = log(alpha / sigma).
struct Level {
  explicit Level(float noise)
      : alpha(1 / std::sqrt(noise * noise + 1)),
        sigma(noise * alpha),
        lambda(std::log(alpha) - std::log(sigma)) {}
  float alpha, sigma, lambda;
};

}  // namespace

Schedule SchedulerRun::schedule() const {
  Schedule schedule;
  schedule.spacing = fmt::format("{}, {} steps", describe(config), steps());
  schedule.timestep_map.assign(timesteps.rbegin(), timesteps.rend());
  return schedule;
}

SchedulerRun plan_scheduler(const SchedulerConfig& config, int steps) {
  if (steps < 1 || steps > config.num_train_timesteps) {
    throw InputError(fmt::format("{} steps: give 1 to {}", steps, config.num_train_timesteps));
  }
  SchedulerRun run{.config = config,
                   .timesteps = timesteps_of(config, steps),
                   .alphas_cumprod = {},
                   .alphas_cumprod_after = {},
                   .sigmas = {}};
  const std::vector<float> all = training_alphas_cumprod(config);
  for (const int t : run.timesteps) {
    run.alphas_cumprod.push_back(all[static_cast<std::size_t>(t)]);
    run.alphas_cumprod_after.push_back(alpha_after(config, all, t, steps));
    run.sigmas.push_back(sigma_of(run.alphas_cumprod.back()));
  }
  run.sigmas.push_back(config.final_sigma_zero ? 0 : sigma_of(all.front()));
  return run;
}

StepResult SchedulerSteps::step(int evaluation, const at::Tensor& x, const at::Tensor& model_output,
                                double eta, const at::Tensor& noise) {
  if (evaluation != next_ || evaluation >= run_.steps()) {
    throw Error(
        fmt::format("step {} of a scheduler with {} steps was asked for, but step {} is "
                    "next",
                    evaluation, run_.steps(), next_));
  }
  const auto k = static_cast<std::size_t>(next_++);
  const at::Tensor epsilon = epsilon_of(x, model_output);
  return run_.config.kind == SchedulerKind::ddim ? ddim(k, x, epsilon, eta, noise)
                                                 : multistep(k, x, epsilon);
}

StepResult SchedulerSteps::ddim(std::size_t k, const at::Tensor& x, const at::Tensor& epsilon,
                                double eta, const at::Tensor& noise) const {
  const float now = run_.alphas_cumprod[k];
  const float after = run_.alphas_cumprod_after[k];
  const float variance = (1 - after) / (1 - now) * (1 - now / after);
  const float deviation = static_cast<float>(eta) * std::sqrt(variance);
  const float rest = 1 - after - deviation * deviation;
  if (!(rest >= 0)) {
    throw InputError(
        fmt::format("eta {} adds more noise than step {} of the folder's scheduler "
                    "({}) has room for; use 0 to 1",
                    eta, k + 1, describe(run_.config)));
  }
  at::Tensor xstart = at::sub(x, epsilon * std::sqrt(1 - now)).div_(std::sqrt(now));
  if (run_.config.clip_sample) {
    xstart.clamp_(-run_.config.clip_sample_range, run_.config.clip_sample_range);
  }
  at::Tensor sample = (xstart * std::sqrt(after)).add_(epsilon * std::sqrt(rest));
  if (deviation > 0) {
    if (!noise.defined() || noise.sizes() != x.sizes()) {
      throw InputError("a DDIM step with eta above 0 needs noise of the sample's shape");
    }
    sample.add_(noise * deviation);
  }
  return {sample, xstart};
}

StepResult SchedulerSteps::multistep(std::size_t k, const at::Tensor& x,
                                     const at::Tensor& epsilon) {
  const SchedulerConfig& config = run_.config;
  const Level now(run_.sigmas[k]);
  const Level after(run_.sigmas[k + 1]);
  constexpr int few_steps = 15;
  const bool last = static_cast<int>(k) + 1 == run_.steps();
  const bool first_order = config.solver_order == 1 || !last_xstart_.defined() ||
                           (last && (config.euler_at_final || config.final_sigma_zero ||
                                     (config.lower_order_final && run_.steps() < few_steps)));
  at::Tensor xstart = at::sub(x, epsilon * now.sigma).div_(now.alpha);
  const float h = after.lambda - now.lambda;  // infinite when nothing is left of the noise
  const float decay = std::exp(-h) - 1;
  at::Tensor sample = (x * (after.sigma / now.sigma)).sub_(xstart * (after.alpha * decay));
  if (!first_order) {
    const Level before(run_.sigmas[k - 1]);
    const float ratio = (now.lambda - before.lambda) / h;
    const at::Tensor slope = at::sub(xstart, last_xstart_).mul_(1 / ratio);
    const float weight =
        config.midpoint ? -0.5F * (after.alpha * decay) : after.alpha * (decay / h + 1);
    sample.add_(slope * weight);
  }
  last_xstart_ = xstart;
  return {sample, xstart};
}

}  // namespace l2c
