// Devices and types of numbers by name, and the process-wide numeric settings.
#pragma once

#include <string>

#include "l2c/core/torch.h"

namespace l2c {

// "cpu", "cuda" or "cuda:N". Throws InputError when the name is malformed, when this build has no
// CUDA side, or when there is no such GPU; the message says which and what to do.
at::Device parse_device(const std::string& name);

// The type of products: "fp32" or "bf16". Throws InputError for any other name.
at::ScalarType parse_dtype(const std::string& name);

// fp32 means fp32: switches TF32 off for matrix products and convolutions (process-wide, as
// LibTorch's switches are). Called by whatever loads a model onto a GPU.
void disable_tf32();

}  // namespace l2c
