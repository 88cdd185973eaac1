// A feature network that the user supplies as a TorchScript program.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "l2c/core/torch.h"
#include "l2c/evaluation/feature_network.h"

namespace l2c {

// The program is called with uint8 images [N, 3, H, W] and must prepare them itself. Accepted:
//  - forward(images, return_features=..., no_output_bias=...), as NVIDIA's inception-2015-12-05.pt
//    has it: called once for features, once for probabilities (without the bias);
//  - forward(images), which gives a tensor of features [N, D] or [N, D, 1, 1]; or a tuple of
//    features, spatial features [N, C, h, w] and logits [N, K], the last two optional; or a
//    dictionary with "features" and, optionally, "spatial", "logits" or "probabilities".
// Of spatial features the first 7 channels count, in the order (h, w, C), as in ADM's evaluator.
// Floating types; cast to fp32. The file is a program: load only what you trust.
class TorchScriptNetwork : public FeatureNetwork {
 public:
  // Throws InputError that names the file: no such program, other arguments, an unknown device.
  // c10::OutOfMemoryError passes.
  explicit TorchScriptNetwork(const std::filesystem::path& path, const std::string& device = "cpu");
  ~TorchScriptNetwork() override;

  // Pixels are rounded to bytes; one channel counts as gray. Works in blocks. Throws InputError for
  // what the program gives and for what it throws (with its message), RunError where that is a lack
  // of memory.
  [[nodiscard]] Features extract(const at::Tensor& pixels) const override;
  // Of the file's bytes.
  [[nodiscard]] const std::string& fingerprint() const override { return fingerprint_; }
  [[nodiscard]] const std::string& description() const override { return description_; }
  [[nodiscard]] bool knows_labels() const override { return false; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string fingerprint_, description_;
};

}  // namespace l2c
