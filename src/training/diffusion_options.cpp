#include "l2c/training/diffusion_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "l2c/core/error.h"

namespace l2c {

namespace {

constexpr std::int64_t most_steps = 1'000'000'000'000;

void require(bool fine, const char* name, double value, const char* range) {
  if (fine) return;
  throw InputError(fmt::format("training option {}: {} is not {}", name, value, range));
}

}  // namespace

void check_options(const DiffusionTrainingOptions& o) {
  require(o.steps >= 1 && o.steps <= most_steps, "steps", static_cast<double>(o.steps),
          "in 1 ... 10^12");
  require(o.batch_size >= 1, "batch_size", o.batch_size, "at least 1");
  require(o.micro_batch >= 0, "micro_batch", o.micro_batch, "at least 0");
  require(std::isfinite(o.learning_rate) && o.learning_rate > 0, "learning_rate", o.learning_rate,
          "above 0");
  require(o.warmup_steps >= 0, "warmup_steps", o.warmup_steps, "at least 0");
  require(o.final_rate >= 0 && o.final_rate <= 1, "final_rate", o.final_rate, "between 0 and 1");
  require(std::isfinite(o.weight_decay) && o.weight_decay >= 0, "weight_decay", o.weight_decay,
          "at least 0");
  require(!o.clip_norm || (std::isfinite(*o.clip_norm) && *o.clip_norm > 0), "clip_norm",
          o.clip_norm.value_or(1), "above 0");
  require(o.ema_decay >= 0 && o.ema_decay < 1, "ema_decay", o.ema_decay, "in [0, 1)");
  require(o.save_every >= 1, "save_every", static_cast<double>(o.save_every), "at least 1");
  require(o.report_every >= 1, "report_every", static_cast<double>(o.report_every), "at least 1");
}

double learning_rate(const DiffusionTrainingOptions& options, std::int64_t step) {
  double rate = options.learning_rate;
  if (options.decay == LearningRateDecay::cosine) {
    const double done = static_cast<double>(step) / static_cast<double>(options.steps);
    const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * done));
    rate *= options.final_rate + (1 - options.final_rate) * cosine;
  }
  if (step < options.warmup_steps) {
    rate *= static_cast<double>(step + 1) / options.warmup_steps;
  }
  return rate;
}

}  // namespace l2c
