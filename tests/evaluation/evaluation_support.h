// A model, a network and data that are small enough for many runs.
#pragma once

#include <gmock/gmock.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "l2c/datasets/dataset.h"
#include "l2c/evaluation/feature_network.h"
#include "l2c/evaluation/sample_set.h"
#include "l2c/sampling/pipeline.h"

namespace l2c::test {

inline constexpr int classes = 4;
inline constexpr int image_size = 8;
inline constexpr int blocks = 2;

// Gray images of 8 x 8 in 4 classes, from random weights.
// Without class dropout it has no null label: it cannot be guided.
Pipeline pixel_pipeline(std::uint64_t weights_seed = 1, double class_dropout = 0.1);

// A router of 6 steps for it that reuses 3 of its 4 branches at its cache steps below threshold
// 0.5, and all of them from 0.9 on.
std::filesystem::path write_router(const std::string& name = "router.safetensors");

// 6 steps, guidance 2, batches of 4.
Request small_request();
SampleSetOptions small_options(std::int64_t images = 20);

// Features: the means of the four quadrants; probabilities: their softmax.
class QuadrantNetwork : public FeatureNetwork {
 public:
  explicit QuadrantNetwork(int known = classes, std::string fingerprint = "quadrants");
  [[nodiscard]] Features extract(const at::Tensor& pixels) const override;
  [[nodiscard]] const std::string& fingerprint() const override { return fingerprint_; }
  [[nodiscard]] const std::string& description() const override { return description_; }

 private:
  int known_;
  std::string fingerprint_;
  std::string description_ = "means of quadrants";
};

// Fails within LibTorch from its call number `fails_at` (0: the first) on; out of memory where
// asked.
class BrokenNetwork final : public QuadrantNetwork {
 public:
  explicit BrokenNetwork(int fails_at, bool memory = false)
      : fails_at_(fails_at), memory_(memory) {}
  [[nodiscard]] Features extract(const at::Tensor& pixels) const override;

 private:
  int fails_at_;
  bool memory_;
  mutable int calls_ = 0;
};

// The text of LibTorch's error in BrokenNetwork, as ours.
testing::Matcher<std::string> our_libtorch_error();

// Tensors as data. x [N, C, S, S] in [-1, 1].
class TensorData : public DataSet {
 public:
  TensorData(at::Tensor x, at::Tensor y, int num_classes = classes);
  [[nodiscard]] const DataInfo& info() const override { return info_; }
  [[nodiscard]] DataBatch batch(c10::ArrayRef<std::int64_t> numbers) const override;

 private:
  at::Tensor x_;
  at::Tensor y_;
  DataInfo info_;
};
// Random images with random labels.
TensorData random_data(std::int64_t images, std::uint64_t seed = 5, int size = image_size);

// All images and labels of a set.
SampledImages all_images(const SampleSet& set);

}  // namespace l2c::test
