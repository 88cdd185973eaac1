// How to train a DiT: plain data, no LibTorch header behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace l2c {

enum class LearningRateDecay { constant, cosine };

// The defaults are DiT's own (train.py and section 4 of arXiv 2212.09748).
struct DiffusionTrainingOptions {
  std::int64_t steps = 400'000;  // at most 10^12
  int batch_size = 256;
  // Rows of the batch that go through the model at a time, gradients added up; 0: all of them.
  // Fewer need less memory and may stay in a core's cache.
  int micro_batch = 0;
  double learning_rate = 1e-4;
  int warmup_steps = 0;  // the rate rises linearly over so many steps
  LearningRateDecay decay = LearningRateDecay::constant;
  double final_rate = 0.05;  // cosine: the share of learning_rate that is left at the last step
  double weight_decay = 0;
  std::optional<double> clip_norm;  // gradients are scaled to at most this norm; none: as they are
  double ema_decay = 0.9999;
  // The average forgets its start sooner: decay min(ema_decay, (1 + step) / (10 + step)).
  bool ema_ramp = false;
  bool flip = false;  // mirror half of the images (DiT's official recipe does)
  bool bf16 = false;  // products in bf16 (autocast); weights, averages and the loss stay fp32
  std::uint64_t seed = 0;
  std::int64_t save_every = 1000;   // steps between two checkpoints
  std::int64_t report_every = 100;  // steps between two rows of the loss curve
  bool save_bf16 = false;           // the weights in model.safetensors as bf16: half the size
};

// Throws InputError for a value outside its range; the message names it.
void check_options(const DiffusionTrainingOptions& options);

// The learning rate of step `step` (0-based).
double learning_rate(const DiffusionTrainingOptions& options, std::int64_t step);

}  // namespace l2c
