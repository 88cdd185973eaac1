// Training the classifier that evaluation measures with.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/datasets/dataset.h"
#include "l2c/evaluation/classifier.h"
#include "l2c/training/adamw.h"
#include "l2c/training/progress.h"
#include "l2c/training/random.h"

namespace l2c {

struct ClassifierTrainingOptions {
  int epochs = 10;
  int batch_size = 128;
  double learning_rate = 0.01;  // the highest
  // Share of the steps in which the learning rate rises from 0, in a line; in the rest it falls to
  // 0, along a cosine.
  double warm_up = 0.2;
  double weight_decay = 0.05;     // of convolutions and the linear layer's weight
  double label_smoothing = 0.05;  // in [0, 1)
  bool flip = true;               // mirror half of the images
  int crop = 0;                   // shift images by up to so many pixels (edges repeated); 0: not
  std::array<int, ClassifierConfig::convolutions> widths = ClassifierConfig{}.widths;
  std::uint64_t seed = 0;
};

// The classifier while it learns: every convolution without a bias, then batch normalization
// (momentum 0.1, eps 1e-5). Not thread-safe.
class ClassifierNetwork {
 public:
  // Weights as He et al. (arXiv 1502.01852) draw them, from DrawFor::weights; biases zero. Throws
  // InputError for an impossible configuration.
  ClassifierNetwork(const ClassifierConfig& config, const TrainingRandom& random);

  // pixels [N, C, S, S] fp32 -> logits [N, num_classes], with autograd. `training`: normalizes by
  // the batch's statistics and moves the running ones; else by the running ones.
  at::Tensor forward(const at::Tensor& pixels, bool training);

  // Those that weight decay pulls at (rank 2 and more), and the rest.
  [[nodiscard]] std::vector<NamedTensor> decayed() const;
  [[nodiscard]] std::vector<NamedTensor> undecayed() const;

  // For inference: running statistics folded into weights and biases.
  [[nodiscard]] std::shared_ptr<const Classifier> fold() const;

 private:
  struct Layer {
    at::Tensor weight, gamma, beta, mean, variance;
  };
  ClassifierConfig config_;
  std::vector<Layer> layers_;
  at::Tensor linear_weight_, linear_bias_;
};

// Cross-entropy, AdamW. The same data, options, thread count and machine give the same bits.
class ClassifierTrainer {
 public:
  // Throws InputError for options outside their range.
  ClassifierTrainer(std::shared_ptr<const DataSet> data, const ClassifierTrainingOptions& options);

  // Trains from the start. `progress` is called each 100 steps and after the last with the means
  // of "loss" and "accuracy" (of the augmented images, 0 to 1) and the "learning_rate". Throws
  // Cancelled when `stop` was used, RunError when the loss is not finite or memory runs out.
  std::shared_ptr<const Classifier> run(const TrainingProgressFunction& progress = {},
                                        const std::stop_token& stop = {}) const;

  [[nodiscard]] std::int64_t steps() const { return steps_; }
  // Of step `step`, 0 to steps() - 1.
  [[nodiscard]] double learning_rate(std::int64_t step) const;

 private:
  [[nodiscard]] std::shared_ptr<const Classifier> train(const TrainingProgressFunction& progress,
                                                        const std::stop_token& stop) const;
  std::shared_ptr<const DataSet> data_;
  ClassifierTrainingOptions options_;
  ClassifierConfig config_;
  std::int64_t steps_;
};

// A feature network's classes held against a data set's labels.
struct ClassificationResult {
  at::Tensor confusion;  // [K, K] int64: row = the label, column = the network's choice
  double accuracy = 0;   // 0 to 1
};
// Throws InputError when network and data differ in the number of classes; Cancelled when stopped;
// RunError.
ClassificationResult classify(const FeatureNetwork& network, const DataSet& data,
                              const std::stop_token& stop = {});

// Throws InputError unless a classifier trained on the first can be tested on the second: channels,
// size, number and names of the classes. For checks before the training.
void check_test_data(const DataInfo& training, const DataInfo& test);

}  // namespace l2c
