// What one forward pass of a model costs, known from its configuration alone.
#pragma once

#include <cstdint>
#include <vector>

namespace l2c {

// Multiply-accumulates of one residual branch for one sample. `paper` leaves out the two attention
// products (QK^T and AV), as the paper's MACs column does; `truth` counts them.
struct BranchMacs {
  double paper = 0;
  double truth = 0;
};

struct ForwardCost {
  std::vector<BranchMacs> units;     // by BranchId::unit()
  double rest = 0;                   // MACs outside the branches: embeddings, adaLN, final layer
  std::int64_t branch_elements = 0;  // elements of one branch output of one sample: tokens * width

  [[nodiscard]] BranchMacs total() const;  // all units + rest
};

}  // namespace l2c
