// Where features of images come from.
#pragma once

#include <string>

#include "l2c/core/torch.h"

namespace l2c {

struct Features {
  at::Tensor features;         // [N, D] fp32
  at::Tensor probabilities{};  // [N, K] fp32: softmax over the network's classes; or undefined
  // [N, S] fp32: features that know places, for sFID; or undefined. Place by place, channels within
  // a place (the (H, W, C) order of TensorFlow): statistics of a file are in that order.
  at::Tensor spatial{};
};

// Immutable; may be called from any thread.
class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;
  // pixels [N, C, S, S] fp32 in [-1, 1].
  [[nodiscard]] virtual Features extract(const at::Tensor& pixels) const = 0;
  [[nodiscard]] virtual const std::string& fingerprint() const = 0;  // 32 hex digits
  [[nodiscard]] virtual const std::string& description() const = 0;  // for people
  // Whether its classes are the labels of the data, so that it can judge whether an image shows
  // what was asked for. It must give probabilities then.
  [[nodiscard]] virtual bool knows_labels() const { return true; }
};

}  // namespace l2c
