// Which rows of a batch have the same timestep and label.
#pragma once

#include "l2c/core/torch.h"

namespace l2c {

// Everything a DiT makes of timestep and label (embeddings, modulations) is the same for rows that
// have both in common: with guidance half of a batch has the null label.
struct Conditions {
  at::Tensor t, y;  // of the distinct rows, in the order of their first appearance
  at::Tensor rows;  // [N] int64: which of them each row has; undefined: all rows are distinct

  // values [distinct, ...] -> [N, ...]
  [[nodiscard]] at::Tensor spread(const at::Tensor& values) const;
};

// t [N] and y [N] int64, on the CPU.
Conditions distinct_conditions(const at::Tensor& t, const at::Tensor& y);

}  // namespace l2c
