// What one forward pass of a model costs, known from its configuration alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "l2c/core/branch.h"

namespace l2c {

// Multiply-accumulates of one residual branch for one sample. `paper` leaves out the two attention
// products (QK^T and AV), as the paper's MACs column does; `truth` counts them.
struct BranchMacs {
  double paper = 0;
  double truth = 0;
};

// A dense layer of a block, the same in every block: [rows, in] -> [rows, out].
struct LayerShape {
  std::string name{};     // "qkv", "proj", "fc1", "fc2"
  BranchKind branch{};    // that it belongs to
  std::int64_t rows = 0;  // of one sample
  std::int64_t in = 0, out = 0;

  [[nodiscard]] double macs() const;  // of one sample
};

struct ForwardCost {
  std::vector<BranchMacs> units;     // by BranchId::unit()
  double rest = 0;                   // MACs outside the branches: embeddings, adaLN, final layer
  std::int64_t branch_elements = 0;  // elements of one branch output of one sample: tokens * width
  std::vector<LayerShape> layers;    // the dense layers of a block

  [[nodiscard]] BranchMacs total() const;  // all units + rest
};

}  // namespace l2c
