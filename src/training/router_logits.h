// The parameters of a router while it is trained.
#pragma once

#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"
#include "l2c/training/adamw.h"

namespace l2c {

// One parameter for each row: a row that is not in use has no gradient, and AdamW leaves it and its
// step counter alone. Not thread-safe.
class RouterLogits {
 public:
  // initial [rows, units] fp32 on the model's device; copied.
  RouterLogits(const at::Tensor& initial, double clamp);

  [[nodiscard]] const at::Tensor& row(int row) const;
  // Of the rows that have a gradient.
  [[nodiscard]] double gradient_norm() const { return optimizer_.gradient_norm(); }
  void clear_gradients() { optimizer_.clear_gradients(); }
  // One update of the row that has a gradient; then every row is cut to -clamp ... clamp, trained
  // or not.
  void step(double learning_rate);
  // [rows, units] on the CPU.
  [[nodiscard]] at::Tensor values() const;

  // As "logits" and "adamw.row.N. ...".
  void save(io::TensorMap& into) const;
  // Throws InputError when something is missing or has another shape.
  void load(const io::TensorMap& from);

 private:
  AdamW optimizer_;
  double clamp_;
};

}  // namespace l2c
