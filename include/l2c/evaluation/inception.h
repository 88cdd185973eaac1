// The Inception network by which FID and its relatives are defined.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "l2c/core/torch.h"
#include "l2c/evaluation/feature_network.h"
#include "l2c/io/safetensors.h"

namespace l2c {

// How images become the network's 299 x 299 pixels. FID changes by some hundredths with it: both
// sides of a comparison, and both of a table, need the same.
enum class InceptionInput {
  pytorch_fid,  // bilinear with half-pixel centres, v / 127.5 - 1
  tensorflow,   // bilinear as TensorFlow 1 does, (v - 128) / 128: ADM's evaluator, the original FID
};
// "pytorch-fid" or "tensorflow". Throws InputError for any other name.
InceptionInput parse_inception_input(const std::string& name);

struct InceptionOptions {
  InceptionInput input = InceptionInput::pytorch_fid;
  std::string device = "cpu";  // "cpu", "cuda", "cuda:N"
};

// Inception-v3 with the weights of TensorFlow's model of 2015-12-05, in the names and with the
// differences from torchvision's network that pytorch-fid has. In fp32. Features: 2048 means of the
// last block; spatial: 17 x 17 places of 7 channels (TensorFlow's mixed_6/conv, as ADM's
// evaluator); probabilities: softmax over 1008 outputs without their bias, as ADM's evaluator. Its
// outputs are not the labels of a data set.
class Inception : public FeatureNetwork {
 public:
  // `weights`: pytorch-fid's state_dict; num_batches_tracked may be there. Throws InputError, which
  // begins with `where` and lists every tensor that does not fit, or for the device.
  Inception(const io::TensorMap& weights, const std::filesystem::path& where,
            const InceptionOptions& options = {});
  ~Inception() override;

  // Any size; one channel counts as gray. Works in blocks. Throws InputError: another shape, no
  // floating type, non-finite pixels.
  [[nodiscard]] Features extract(const at::Tensor& pixels) const override;
  [[nodiscard]] const std::string& fingerprint() const override { return fingerprint_; }
  [[nodiscard]] const std::string& description() const override { return description_; }
  [[nodiscard]] bool knows_labels() const override { return false; }

 private:
  struct State;
  std::unique_ptr<const State> state_;
  std::string fingerprint_, description_;
};

// From the file that the user has: pytorch-fid's weights (pt_inception-2015-12-05-6726825d.pth as
// it was published, or the same tensors saved again or as safetensors), or a TorchScript program
// (see TorchScriptNetwork; it prepares the images itself, so options.input must be the default).
// Throws InputError that names the file, RunError (out of memory, ...).
std::shared_ptr<const FeatureNetwork> load_inception(const std::filesystem::path& path,
                                                     const InceptionOptions& options = {});

}  // namespace l2c
