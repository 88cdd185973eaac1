// One step of a DiT's training: its state, and how it changes.
#pragma once

#include <memory>
#include <vector>

#include "l2c/datasets/dataset.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/dit.h"
#include "l2c/training/adamw.h"
#include "l2c/training/diffusion_options.h"
#include "l2c/training/random.h"
#include "l2c/training/weight_average.h"

namespace l2c {

struct StepLoss {
  double mse = 0;            // mean over the batch
  double vb = 0;             // 0 for a model that does not learn its variance
  double gradient_norm = 0;  // before clipping
};

class DiffusionStep {
 public:
  DiffusionStep(const DiTConfig& config, std::shared_ptr<const DataSet> data,
                const DiffusionTrainingOptions& options, at::Device device);

  // Step `step` (0-based): everything random in it depends on the seed and `step` alone. Throws
  // RunError when the loss or a gradient is not finite, before the weights change.
  StepLoss operator()(std::int64_t step);

  // Weights, their average and the optimizer's state.
  void save(io::TensorMap& into) const;
  void load(const io::TensorMap& from);
  // Under the official names, on the CPU.
  [[nodiscard]] io::TensorMap averaged_weights(bool bf16) const;

 private:
  struct Batch {
    at::Tensor x0, y, t, noise;
    [[nodiscard]] Batch rows(std::int64_t first, std::int64_t count) const;
  };
  [[nodiscard]] Batch draw(std::int64_t step);
  StepLoss accumulate_gradients(const Batch& batch);
  [[nodiscard]] double clip();  // returns the gradients' norm before

  DiTConfig config_;
  std::shared_ptr<const DataSet> data_;
  DiffusionTrainingOptions options_;
  at::Device device_;
  TrainingRandom random_;
  DataOrder order_;
  Schedule schedule_;
  DiTWeights weights_;
  DiTWeights average_;
  WeightAverage averaging_;
  std::shared_ptr<const DiT> model_;
  AdamW optimizer_;
};

}  // namespace l2c
