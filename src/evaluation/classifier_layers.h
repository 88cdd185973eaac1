// What inference and training of the classifier share.
#pragma once

#include <cstddef>
#include <string>

#include "l2c/core/torch.h"
#include "l2c/evaluation/classifier.h"

namespace l2c {

// "conv.INDEX.WHAT": names of the file's tensors.
std::string conv_name(std::size_t index, const char* what);
// Convolution number `index`; bias may be undefined.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    std::size_t index);
// [N, C, H, W] -> [N, C].
at::Tensor pool(const at::Tensor& x);

std::string classifier_config_json(const ClassifierConfig& config);

}  // namespace l2c
