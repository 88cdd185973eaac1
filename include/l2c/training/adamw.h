// AdamW.
#pragma once

#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"

namespace l2c {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};

struct NamedTensor {
  std::string name;
  at::Tensor value;
};

// Decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101), as torch.optim.AdamW computes
// it. A parameter without a gradient is left alone, its step counter included: what the rows of a
// router need. Not thread-safe.
class AdamW {
 public:
  // The parameters are leaves that require gradients; the optimizer writes to them.
  AdamW(std::vector<NamedTensor> parameters, AdamWOptions options);

  // One update of every parameter that has a gradient, which is dropped afterwards.
  void step(double learning_rate);

  // Drops what is left of a step that did not come to its end.
  void clear_gradients();

  // Over all gradients; 0 when there is none.
  [[nodiscard]] double gradient_norm() const;
  // Scales the gradients to a norm of at most `norm` (as clip_grad_norm_ does). Returns the norm
  // before; they stay as they are when it is not finite.
  double clip(double norm);

  // Moments and step counters as "PREFIX.NAME.exp_avg", "... .exp_avg_sq", "... .step".
  void save_state(io::TensorMap& into, const std::string& prefix) const;
  // Throws InputError when one is missing or has another shape.
  void load_state(const io::TensorMap& from, const std::string& prefix);

  [[nodiscard]] const std::vector<NamedTensor>& parameters() const { return parameters_; }

 private:
  [[nodiscard]] std::vector<at::Tensor> gradients() const;
  std::vector<NamedTensor> parameters_;
  AdamWOptions options_;
  std::vector<at::Tensor> exp_avg_, exp_avg_sq_, steps_;
};

}  // namespace l2c
