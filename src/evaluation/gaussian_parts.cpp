#include "gaussian_parts.h"

#include <cstdint>

namespace l2c {

std::vector<double> doubles_of(const at::Tensor& tensor) {
  const auto values = tensor.to(at::kDouble).contiguous();
  const auto* first = values.const_data_ptr<double>();
  return {first, first + values.numel()};
}

void hash_gaussian(Hash& hash, const GaussianStatistics& gaussian) {
  hash.number(static_cast<std::int64_t>(gaussian.mean.size()));
  hash.bytes(gaussian.mean.data(), gaussian.mean.size() * sizeof(double));
  hash.bytes(gaussian.covariance.data(), gaussian.covariance.size() * sizeof(double));
}

}  // namespace l2c
