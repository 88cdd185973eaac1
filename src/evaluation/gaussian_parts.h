// Means and covariances between files, hashes and numbers.
#pragma once

#include <vector>

#include "l2c/core/hash.h"
#include "l2c/core/torch.h"
#include "l2c/metrics/distribution.h"

namespace l2c {

// The elements of a CPU tensor of any shape and dtype, row by row.
std::vector<double> doubles_of(const at::Tensor& tensor);

void hash_gaussian(Hash& hash, const GaussianStatistics& gaussian);

}  // namespace l2c
