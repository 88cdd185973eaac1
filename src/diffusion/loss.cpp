#include "l2c/diffusion/loss.h"

#include <cmath>
#include <numbers>
#include <vector>

namespace l2c {

namespace {

// A table's entries for each sample, [N, 1, 1, 1], in fp32 as the official code uses them.
at::Tensor extract(const std::vector<double>& table, const at::Tensor& t) {
  const at::Tensor values = at::from_blob(const_cast<double*>(table.data()),
                                          {static_cast<std::int64_t>(table.size())}, at::kDouble);
  return values.index_select(0, t.to(at::kCPU)).to(t.device(), at::kFloat).view({-1, 1, 1, 1});
}

std::vector<double> log_of(const std::vector<double>& table) {
  std::vector<double> logs;
  logs.reserve(table.size());
  for (const double value : table) logs.push_back(std::log(value));
  return logs;
}

at::Tensor mean_of_samples(const at::Tensor& x) { return x.flatten(1).mean(1); }

struct Gaussian {
  at::Tensor mean;
  at::Tensor log_variance;
};

// KL(a || b), in nats.
at::Tensor kl(const Gaussian& a, const Gaussian& b) {
  const at::Tensor ratio = a.log_variance - b.log_variance;
  return ((a.mean - b.mean).square() * (-b.log_variance).exp() + ratio.exp() - ratio - 1) * 0.5;
}

// The tanh approximation of the standard normal distribution function that the official code uses.
at::Tensor normal_cdf(const at::Tensor& x) {
  const double scale = std::sqrt(2 / std::numbers::pi);
  return ((x + x.pow(3) * 0.044715) * scale).tanh().add(1).mul(0.5);
}

// -ln of the probability of x0's pixel value, a bin of width 2 / 255, open at both ends.
at::Tensor decoder_nll(const at::Tensor& x0, const Gaussian& p) {
  constexpr double half_bin = 1.0 / 255;
  constexpr double end = 0.999;
  constexpr double floor = 1e-12;
  const at::Tensor centered = x0 - p.mean;
  const at::Tensor inverse = (p.log_variance * -0.5).exp();
  const at::Tensor above = normal_cdf((centered + half_bin) * inverse);
  const at::Tensor below = normal_cdf((centered - half_bin) * inverse);
  const at::Tensor probability =
      at::where(x0 < -end, above, at::where(x0 > end, 1 - below, above - below));
  return probability.clamp_min(floor).log().neg();
}

Gaussian posterior(const Schedule& schedule, const at::Tensor& t, const at::Tensor& x0,
                   const at::Tensor& x_t) {
  return {extract(schedule.posterior_mean_coef1, t) * x0 +
              extract(schedule.posterior_mean_coef2, t) * x_t,
          extract(schedule.posterior_log_variance_clipped, t)};
}

// p(x_{t-1} | x_t); `variance` are the model's raw values.
Gaussian predicted(const Schedule& schedule, const at::Tensor& t, const at::Tensor& x_t,
                   const at::Tensor& epsilon, const at::Tensor& variance) {
  const at::Tensor x0 = extract(schedule.sqrt_recip_alphas_cumprod, t) * x_t -
                        extract(schedule.sqrt_recipm1_alphas_cumprod, t) * epsilon;
  const at::Tensor smallest = extract(schedule.posterior_log_variance_clipped, t);
  const at::Tensor largest = extract(log_of(schedule.betas), t);
  const at::Tensor fraction = (variance + 1) / 2;
  return {posterior(schedule, t, x0, x_t).mean, fraction * largest + (1 - fraction) * smallest};
}

at::Tensor variational_bound(const Schedule& schedule, const at::Tensor& t, const at::Tensor& x0,
                             const at::Tensor& x_t, const Gaussian& p) {
  const at::Tensor bound = mean_of_samples(kl(posterior(schedule, t, x0, x_t), p));
  // Rare in training: not worth computing for the samples that do not need it.
  const at::Tensor cleanest = (t == 0).nonzero().squeeze(1);
  if (cleanest.numel() == 0) return bound / std::numbers::ln2;
  const at::Tensor nll = mean_of_samples(
      decoder_nll(x0.index_select(0, cleanest),
                  {p.mean.index_select(0, cleanest), p.log_variance.index_select(0, cleanest)}));
  return bound.index_copy(0, cleanest, nll) / std::numbers::ln2;
}

}  // namespace

at::Tensor q_sample(const Schedule& schedule, const at::Tensor& t, const at::Tensor& x0,
                    const at::Tensor& noise) {
  return extract(schedule.sqrt_alphas_cumprod, t) * x0 +
         extract(schedule.sqrt_one_minus_alphas_cumprod, t) * noise;
}

at::Tensor TrainingLoss::total() const { return vb.defined() ? mse + vb : mse; }

TrainingLoss training_loss(const Schedule& schedule, const at::Tensor& t, const at::Tensor& x0,
                           const at::Tensor& x_t, const at::Tensor& noise,
                           const at::Tensor& model_output) {
  const std::int64_t channels = x0.size(1);
  if (model_output.size(1) == channels)
    return {mean_of_samples((noise - model_output).square()), {}};
  const auto halves = model_output.split(channels, 1);
  const Gaussian p = predicted(schedule, t, x_t, halves[0].detach(), halves[1]);
  return {mean_of_samples((noise - halves[0]).square()),
          variational_bound(schedule, t, x0, x_t, p)};
}

}  // namespace l2c
