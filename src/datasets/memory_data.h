// Data that are held in memory, or in a mapped file.
#pragma once

#include <memory>
#include <string>

#include "l2c/core/torch.h"
#include "l2c/datasets/dataset.h"

namespace l2c {

struct MemorySource {
  std::string name;         // for messages: "'path'"
  std::string description;  // see DataInfo
  at::Tensor x;             // not copied
  at::Tensor y;
  int num_classes = 0;  // 0: one more than the largest label
  bool pixels = false;  // floating x must lie in [-1, 1]
};

// Checks everything that DataInfo and DataBatch promise. Throws InputError.
std::shared_ptr<const DataSet> memory_data(const MemorySource& source);

}  // namespace l2c
