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
  // In all. With a target speed-up: at least so many, at most three times as many.
  std::int64_t iterations = 10'000;  // at most 10^12
  int batch_size = 64;
  // AdamW's, without weight decay. 1e-3 is published, for some 10^4 iterations; a row is trained
  // once in steps / 2 iterations and must move its logits by about 3, so that small budgets need
  // more: 5e-2 for 1,000 iterations.
  double learning_rate = 1e-3;
  // Weight of the sum of a row's weights in the loss: more reuses more. Unset: 5e-6, as published
  // for 20 steps of DiT-XL/2 (1e-6 for 50 steps). Not together with target_speedup.
  std::optional<double> lambda;
  // Chooses lambda while it trains, so that the thresholded router's ideal speed-up (pricing.h)
  // comes within 2 % of it: training goes on until it does and lambda has settled, at most to three
  // times `iterations`. That takes, as a rule, 7 to 15 times steps / 2 / learning_rate iterations
  // (1,400 to 3,000 for 20 steps at 5e-2); rates above 0.1 are too coarse to settle.
  std::optional<double> target_speedup;
  // Share of labels replaced by the null label, one draw for the three passes. 0: none (the only
  // choice for a model without a null label).
  double label_dropout = 0.1;
  // All logits are cut to -clamp ... clamp after each iteration.
  double clamp = 5;
  // A branch is reused when its score is not above it: written into the router's file as
  // recommended, and what progress and target_speedup count with.
  double threshold = paper_threshold;
  // Arithmetic of the model's passes: "fp32", or "bf16": autocast, the loss stays in fp32.
  std::string dtype = "fp32";
  // Mirrors each image with probability 1/2, as published. For pixels only: mirrored latents are
  // not latents of mirrored images.
  bool flip = false;
  std::uint64_t seed = 0;
  std::int64_t save_every = 1000;   // iterations between checkpoints
  std::int64_t report_every = 100;  // iterations in a row of the curve and between progress calls
  OwnSampleOptions own_samples;     // used without a data set
  // A router to start from instead of normally distributed logits; of another number of steps: its
  // cache steps' logits are interpolated over the timesteps (router_for()). Needed again for a
  // resume, which compares it. Empty: none.
  std::string initial_router;
  // Not the published objective (pairs of a full and a cache step from a data set or own samples),
  // but whole runs of the sampler, from noise, in which each cache step goes on from what the ones
  // before it did (router_trajectory.h): one iteration trains every row once, and no images, no own
  // samples are needed. The options below are for it alone.
  bool trajectory = false;
  // What reused branches give: parse_recall()'s text.
  std::string recall = "latest";
  // Which evaluations are bound to compute everything: RouterInfo::group. 0: the budget (lambda or
  // target_speedup) alone decides.
  int group = 2;
  bool hard = false;  // the student decides as sampling does: TrajectoryOptions::hard
  // Of the runs: classifier-free guidance scale; 1: off. Guided runs drop no labels: half of their
  // rows have the null label.
  double guidance = 1;
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
// learning-to-cache). The model's weights stay as they are.
//
// Everything lies in one folder: checkpoint-STEP.safetensors (the two newest), the model's own
// samples where they are the data, and at the end the results. A training started again in its
// folder goes on where the newest checkpoint ends and gives the same bits, on one machine with the
// same LibTorch and the same number of threads (another version or number is logged as a warning),
// as one that never stopped. Not thread-safe.
class RouterTrainer {
 public:
  // Locks the folder and resumes what is in it. data may be null: own samples. Throws InputError:
  // an option outside its range (named); data that do not fit the model; guidance or label dropout
  // without a null label; a target that even reusing every branch of every cache step cannot reach
  // (the largest possible is named); a folder in use, or of a training with other options, data or
  // model (the differences are listed). More iterations than before are no difference: the training
  // goes on, and the curve keeps the row of the former last one; nor are save_every, report_every,
  // the data's path and, without a target, the threshold. RunError: out of memory.
  RouterTrainer(std::shared_ptr<const Denoiser> model, std::shared_ptr<const DataSet> data,
                const RouterTrainingOptions& options, const std::filesystem::path& folder);
  ~RouterTrainer();
  RouterTrainer(const RouterTrainer&) = delete;
  RouterTrainer& operator=(const RouterTrainer&) = delete;

  // Trains to the end, saves and writes the results; of a finished training, writes them again.
  //
  // Progress holds "loss", "mse" and "penalty" (lambda times the sum of the weights), means since
  // the previous report ("mse" of whole runs: weighted, TrajectoryStep::error), and "lambda",
  // "branches_on" and "ideal_speedup" as they are now. While own samples are made it counts them
  // instead, with the one value "own_samples".
  //
  // Throws Cancelled (the stop token was used: saved after the iteration that was running, and so
  // are finished batches of own samples), RunError (the loss, a gradient or a logit is not finite:
  // names the iteration, the last checkpoint stays; disk full; out of memory), InputError (own
  // samples that are not those that the training went on; damaged ones are made again, with a
  // warning). A target that is missed is no error: a warning is logged
  // and the result says so.
  RouterTrainingResult run(const TrainingProgressFunction& progress = {},
                           std::stop_token stop = {});

  [[nodiscard]] std::int64_t iteration() const;  // iterations done

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace l2c
