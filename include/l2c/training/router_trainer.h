// Training a router for a model. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "l2c/cache/router.h"
#include "l2c/training/progress.h"

namespace l2c {

class DataSet;
class Denoiser;

// Where x_0 comes from when there is no data set: samples of the model itself, made with the full
// schedule (DDIM, eta 0) before the training, classes in turn.
struct OwnSampleOptions {
  int count = 1024;       // how many; they are gone through again and again
  double guidance = 1.5;  // classifier-free guidance scale; 1: off
  int batch_size = 32;    // samples made at a time (and saved, for a resume)
};

struct RouterTrainingOptions {
  // Official spacing string: "20" is 20 steps. The router is for this schedule and DDIM only.
  std::string spacing = "20";
  // Iterations in all. With a target speed-up: at least so many, at most three times as many.
  std::int64_t iterations = 10'000;
  int batch_size = 64;
  // AdamW's, without weight decay. 1e-3 is published, for some 10^4 iterations; a row is trained
  // once in steps / 2 iterations and must move its logits by about 3, so that small budgets need
  // more: 5e-2 for 1,000 iterations.
  double learning_rate = 1e-3;
  // Weight of the sum of a row's weights in the loss: more reuses more. Unset: 5e-6, as published
  // for 20 steps of DiT-XL/2 (1e-6 for 50 steps). Not together with target_speedup.
  std::optional<double> lambda;
  // Chooses lambda while it trains, so that the thresholded router's ideal speed-up (pricing.h)
  // comes within 2 % of it.
  std::optional<double> target_speedup;
  // Share of labels replaced by the null label, one draw for the three passes. 0: none (the only
  // choice for a model without a null label).
  double label_dropout = 0.1;
  // All logits are cut to -clamp ... clamp after each iteration.
  double clamp = 5;
  // A branch is reused when its score is not above it: written into the router's file as
  // recommended, and what progress and target_speedup count with.
  double threshold = 0.1;
  // Arithmetic of the model's passes: "fp32", or "bf16": autocast, the loss stays in fp32.
  std::string dtype = "fp32";
  // Mirrors each image with probability 1/2, as published. For pixels only: mirrored latents are
  // not latents of mirrored images.
  bool flip = false;
  std::uint64_t seed = 0;
  std::int64_t save_every = 1000;   // iterations between checkpoints
  std::int64_t report_every = 100;  // iterations in a row of the curve and between progress calls
  OwnSampleOptions own_samples;     // used without a data set
};

struct RouterTrainingResult {
  Router router;
  std::int64_t iterations = 0;  // done, over all resumptions
  double lambda = 0;            // the one in force at the end
  double ideal_speedup = 1;     // at the threshold
  int branches_on = 0;          // computed at the threshold, of the cache steps' branches
  int cache_step_branches = 0;
  bool target_reached = true;  // without a target: true
  // What was written: router.safetensors, curve.csv, heat_map.png.
  std::vector<std::filesystem::path> files;
};

// Learning-to-Cache's router training (arXiv 2406.01733, Algorithm 1; reference: train_router.py in
// learning-to-cache). The model's weights stay as they are. Immutable; run() may be called from any
// thread, once at a time for each folder.
class RouterTrainer {
 public:
  // data may be null: own samples. Throws InputError: an option outside its range (named), a data
  // set that does not fit the model, guidance or label dropout without a null label, a target that
  // even reusing every branch of every cache step cannot reach (the largest possible is named).
  RouterTrainer(std::shared_ptr<const Denoiser> model, std::shared_ptr<const DataSet> data,
                RouterTrainingOptions options);

  // Trains in `folder`, or goes on with the training there: with the same number of threads on the
  // same machine to the same bits as without the interruption. Every option must be as before, save
  // that `iterations` may be larger (the training goes on) and save_every and report_every may
  // change. A finished training only writes its results again.
  //
  // Progress holds "loss", "mse" and "penalty" (lambda times the sum of the weights), means since
  // the previous report, and "lambda", "branches_on" and "ideal_speedup" now. While own samples are
  // made it counts them instead, with the one value "own_samples".
  //
  // A stop request saves after the current iteration (or batch of own samples) and throws
  // Cancelled. Throws InputError (the folder is in use, or holds another training: differences
  // listed), RunError (disk full; a loss that is not finite: the checkpoints stay). A target that
  // is missed is no error: a warning is logged and the result says so.
  RouterTrainingResult run(const std::filesystem::path& folder,
                           const TrainingProgressFunction& progress = {},
                           std::stop_token stop = {}) const;

  [[nodiscard]] const RouterTrainingOptions& options() const { return options_; }

 private:
  std::shared_ptr<const Denoiser> model_;
  std::shared_ptr<const DataSet> data_;
  RouterTrainingOptions options_;
};

}  // namespace l2c
