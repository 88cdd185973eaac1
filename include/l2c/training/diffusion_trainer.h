// Training a DiT.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>

#include "l2c/datasets/dataset.h"
#include "l2c/models/dit_config.h"
#include "l2c/training/diffusion_options.h"
#include "l2c/training/progress.h"

namespace l2c {

// Trains a DiT as published: noise prediction plus the variational term for the variance, labels
// dropped with the configuration's class_dropout_prob, AdamW, an exponential average of the
// weights.
//
// Everything lies in one folder: checkpoint-STEP.safetensors (the two newest), model.safetensors
// (the averaged weights under their official names, configuration and options in the metadata;
// written with every checkpoint), curve.csv. A training started again in its folder goes on where
// the newest checkpoint ends and gives the same bits, on one machine with the same LibTorch and the
// same number of threads (another version or number is logged as a warning), as one that never
// stopped. Not thread-safe.
class DiffusionTrainer {
 public:
  // Locks the folder and resumes what is in it. Throws InputError: options out of range; no data,
  // or data that do not fit the model; a folder in use, or of a training with other options, data
  // or model (the differences are listed); RunError: out of memory. save_every, report_every and
  // the data's path are no difference; nor, with a constant learning rate, is a larger number of
  // steps: the curve then keeps the row of the former last step.
  DiffusionTrainer(const DiTConfig& config, std::shared_ptr<const DataSet> data,
                   const DiffusionTrainingOptions& options, const std::filesystem::path& folder,
                   at::Device device = at::kCPU);
  ~DiffusionTrainer();
  DiffusionTrainer(const DiffusionTrainer&) = delete;
  DiffusionTrainer& operator=(const DiffusionTrainer&) = delete;

  // Trains to the last step and saves. Throws Cancelled (the stop token was used: saved after the
  // step that was running), RunError (the loss, a gradient or a weight is not finite: names the
  // step, the last checkpoint stays; disk full; out of memory). Autograd is on while it runs,
  // whatever the caller's modes.
  void run(const TrainingProgressFunction& progress = {}, std::stop_token stop = {});

  [[nodiscard]] std::int64_t step() const;  // steps done

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace l2c
