// Mixed precision.
#pragma once

#include "l2c/core/torch.h"

namespace l2c {

// While it lives, LibTorch computes products in bf16 on the calling thread (weights stay fp32).
// Does nothing when not `enabled`. Nests; restores what was set before.
class Autocast {
 public:
  Autocast(at::Device device, bool enabled);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool enabled_;
  bool was_enabled_ = false;
  at::ScalarType dtype_before_ = at::kFloat;
};

}  // namespace l2c
