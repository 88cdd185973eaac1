#include "l2c/diffusion/steps.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "l2c/core/error.h"

// Every product and sum below is rounded on its own, in the order of the official expressions: a
// fused a * b + c would be a pass less but differ in the last bit, and also between CPU and GPU.

namespace l2c {

namespace {

// ATen takes scalars as double and casts them to the tensor's type; the cast here makes values of
// the tables fp32 also for arithmetic between them.
float entry(const std::vector<double>& table, int i) {
  return static_cast<float>(table[static_cast<std::size_t>(i)]);
}

std::string shape_text(const at::Tensor& tensor) {
  return tensor.defined() ? fmt::format("[{}]", fmt::join(tensor.sizes(), ", ")) : "none";
}

void check_index(const Schedule& schedule, int i) {
  if (i < 0 || i >= schedule.steps()) {
    throw InputError(
        fmt::format("spaced timestep index {} is outside the {} steps of spacing \"{}\"", i,
                    schedule.steps(), schedule.spacing));
  }
}

void check_noise(const at::Tensor& noise, const at::Tensor& x, std::string_view name) {
  if (!noise.defined() || noise.sizes() != x.sizes()) {
    throw InputError(fmt::format("{} has shape {}, but the sample's is {}", name, shape_text(noise),
                                 shape_text(x)));
  }
}

struct ModelOutput {
  at::Tensor epsilon;
  at::Tensor variance;  // undefined: not learned
};

ModelOutput split(const at::Tensor& x, const at::Tensor& model_output) {
  const bool ranks =
      x.defined() && model_output.defined() && x.dim() == 4 && model_output.dim() == 4;
  if (ranks) {
    const std::int64_t channels = x.size(1);
    auto shape = x.sizes().vec();
    if (model_output.sizes().equals(shape)) return {model_output, {}};
    shape[1] = 2 * channels;
    if (model_output.sizes().equals(shape)) {
      return {model_output.narrow(1, 0, channels), model_output.narrow(1, channels, channels)};
    }
  }
  throw InputError(fmt::format(
      "the model output has shape {}; for a sample of shape {} it must be the same (epsilon) or "
      "have twice the channels (epsilon, variance), [N, C, H, W]",
      shape_text(model_output), shape_text(x)));
}

at::Tensor predict_xstart(const Schedule& schedule, int i, const at::Tensor& scaled_x,
                          const at::Tensor& epsilon, bool clip) {
  auto xstart = at::sub(scaled_x, epsilon * entry(schedule.sqrt_recipm1_alphas_cumprod, i));
  return clip ? xstart.clamp_(-1, 1) : xstart;
}

at::Tensor posterior_mean(const Schedule& schedule, int i, const at::Tensor& x,
                          const at::Tensor& xstart) {
  return (xstart * entry(schedule.posterior_mean_coef1, i))
      .add_(x * entry(schedule.posterior_mean_coef2, i));
}

at::Tensor learned_log_variance(const Schedule& schedule, int i, const at::Tensor& values) {
  const float smallest = entry(schedule.posterior_log_variance_clipped, i);
  const auto largest = static_cast<float>(std::log(schedule.betas[static_cast<std::size_t>(i)]));
  const auto fraction = (values + 1).div_(2);
  return (fraction * largest).add_(at::rsub(fraction, 1).mul_(smallest));
}

struct Prediction {
  at::Tensor mean;
  at::Tensor pred_xstart;
};

Prediction predict(const Schedule& schedule, int i, const at::Tensor& x, const at::Tensor& epsilon,
                   bool clip) {
  const auto scaled_x = x * entry(schedule.sqrt_recip_alphas_cumprod, i);
  auto xstart = predict_xstart(schedule, i, scaled_x, epsilon, clip);
  return {posterior_mean(schedule, i, x, xstart), xstart};
}

// The scalars of one DDIM step, in fp32 like all else.
struct DdimScalars {
  float sigma;
  float xstart;   // weight of pred_xstart
  float epsilon;  // weight of epsilon
};

DdimScalars ddim_scalars(const Schedule& schedule, int i, double eta) {
  const float now = entry(schedule.alphas_cumprod, i);
  const float next = entry(schedule.alphas_cumprod_prev, i);
  const float sigma =
      static_cast<float>(eta) * std::sqrt((1 - next) / (1 - now)) * std::sqrt(1 - now / next);
  const float rest = 1 - next - sigma * sigma;
  if (!(rest >= 0)) {
    throw InputError(
        fmt::format("eta {} adds more noise than spaced step {} of spacing \"{}\" has room for; "
                    "use 0 (DDIM) to "
                    "1 (DDPM)",
                    eta, i, schedule.spacing));
  }
  return {sigma, std::sqrt(next), std::sqrt(rest)};
}

}  // namespace

MeanVariance p_mean_variance(const Schedule& schedule, int i, const at::Tensor& x,
                             const at::Tensor& model_output, bool clip) {
  check_index(schedule, i);
  const auto [epsilon, values] = split(x, model_output);
  auto [mean, xstart] = predict(schedule, i, x, epsilon, clip);
  if (values.defined()) {
    auto log_variance = learned_log_variance(schedule, i, values);
    auto variance = log_variance.exp();
    return {mean, variance, log_variance, xstart};
  }
  return {mean, at::full_like(mean, entry(schedule.posterior_variance, i)),
          at::full_like(mean, entry(schedule.posterior_log_variance_clipped, i)), xstart};
}

StepResult ddpm_step(const Schedule& schedule, int i, const at::Tensor& x,
                     const at::Tensor& model_output, const at::Tensor& noise, bool clip) {
  check_index(schedule, i);
  const auto [epsilon, values] = split(x, model_output);
  auto [mean, xstart] = predict(schedule, i, x, epsilon, clip);
  if (i == 0) return {mean, xstart};
  check_noise(noise, x, "the step's noise");
  if (values.defined()) {
    const auto deviation = learned_log_variance(schedule, i, values).mul_(0.5).exp_();
    return {mean.add_(deviation * noise), xstart};
  }
  const float half = 0.5F * entry(schedule.posterior_log_variance_clipped, i);
  return {mean.add_(noise * std::exp(half)), xstart};
}

StepResult ddim_step(const Schedule& schedule, int i, const at::Tensor& x,
                     const at::Tensor& model_output, double eta, const at::Tensor& noise,
                     bool clip) {
  check_index(schedule, i);
  if (!(eta >= 0) || !std::isfinite(eta)) {
    throw InputError(fmt::format("eta is {}; it must be 0 (DDIM) to 1 (DDPM)", eta));
  }
  const auto epsilon = split(x, model_output).epsilon;
  const auto scalars = ddim_scalars(schedule, i, eta);
  auto scaled_x = x * entry(schedule.sqrt_recip_alphas_cumprod, i);
  auto xstart = predict_xstart(schedule, i, scaled_x, epsilon, clip);
  const auto epsilon_again =
      scaled_x.sub_(xstart).div_(entry(schedule.sqrt_recipm1_alphas_cumprod, i));
  auto sample = (xstart * scalars.xstart).add_(epsilon_again * scalars.epsilon);
  if (scalars.sigma > 0) {
    check_noise(noise, x, "the step's noise");
    sample.add_(noise * scalars.sigma);
  }
  return {sample, xstart};
}

at::Tensor q_sample(const Schedule& schedule, int i, const at::Tensor& x0,
                    const at::Tensor& noise) {
  check_index(schedule, i);
  if (!x0.defined()) throw InputError("q_sample: there is no clean sample to add noise to");
  check_noise(noise, x0, "the noise");
  return (x0 * entry(schedule.sqrt_alphas_cumprod, i))
      .add_(noise * entry(schedule.sqrt_one_minus_alphas_cumprod, i));
}

}  // namespace l2c
