// A small convolutional classifier of images: the feature network of l2c's own evaluation.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "l2c/core/torch.h"
#include "l2c/evaluation/feature_network.h"
#include "l2c/io/safetensors.h"

namespace l2c {

// Four 3 x 3 convolutions, each with a ReLU behind it; the second and third halve the size. Then
// the mean over the positions (the features) and a linear layer (the classes).
struct ClassifierConfig {
  static constexpr int convolutions = 4;
  static constexpr std::array<int, convolutions> strides{1, 2, 2, 1};

  int channels = 1;     // of the images: 1 or 3
  int image_size = 28;  // 8 to 1024
  int num_classes = 10;
  std::array<int, convolutions> widths{16, 64, 128, 128};  // output channels; the last: features

  [[nodiscard]] int features() const { return widths.back(); }
  friend bool operator==(const ClassifierConfig&, const ClassifierConfig&) = default;
};

// Throws InputError, which starts with `where`, for a number outside its range.
void check_classifier_config(const ClassifierConfig& config, const std::string& where);

// On the CPU in fp32, whatever the thread count of the caller's other work.
class Classifier : public FeatureNetwork {
 public:
  // `weights`: "conv.I.weight" [widths[I], widths[I-1], 3, 3], "conv.I.bias" [widths[I]] (I = 0 ...
  // 3, normalizations folded in), "linear.weight" [num_classes, features], "linear.bias"
  // [num_classes]; floating, copied. Throws InputError, which starts with `where` and lists every
  // tensor that does not fit.
  Classifier(const ClassifierConfig& config, const io::TensorMap& weights,
             const std::filesystem::path& where);

  // Works in blocks, so memory does not grow with N but for the results. An image's results have
  // the same bits whatever images are beside it (with the same number of threads). Throws
  // InputError: another shape, no floating type, non-finite pixels.
  [[nodiscard]] Features extract(const at::Tensor& pixels) const override;
  [[nodiscard]] const std::string& fingerprint() const override { return fingerprint_; }
  [[nodiscard]] const std::string& description() const override { return description_; }

  [[nodiscard]] const ClassifierConfig& config() const { return config_; }
  [[nodiscard]] const io::TensorMap& weights() const { return weights_; }
  // What load_classifier() reads. `metadata` is kept beside the configuration ("config" is
  // reserved). Throws InputError, RunError.
  void save(const std::filesystem::path& path, io::Metadata metadata = {}) const;

 private:
  [[nodiscard]] Features block(const at::Tensor& pixels) const;
  ClassifierConfig config_;
  io::TensorMap weights_;
  std::string fingerprint_, description_;
};

// Reads a safetensors file written by Classifier::save(). Throws InputError that names the file:
// no classifier, a configuration with an unknown, missing or impossible field, weights that do not
// fit it.
std::shared_ptr<const Classifier> load_classifier(const std::filesystem::path& path);

}  // namespace l2c
