#include "l2c/models/weights.h"

namespace l2c {

Fingerprint::Fingerprint(const std::string& configuration) { hash_.text(configuration); }

void Fingerprint::add(const std::string& name, const at::Tensor& tensor) {
  hash_.text(name);
  hash_.number(tensor.dim());
  for (const auto size : tensor.sizes()) hash_.number(size);
  const at::Tensor values = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  hash_.bytes(values.const_data_ptr(), values.nbytes());
}

std::string fingerprint(const io::TensorMap& tensors, const std::string& configuration) {
  Fingerprint all(configuration);
  for (const auto& [name, tensor] : tensors) all.add(name, tensor);
  return all.text();
}

}  // namespace l2c
