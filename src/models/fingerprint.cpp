#include "l2c/core/hash.h"
#include "l2c/models/weights.h"

namespace l2c {

std::string fingerprint(const io::TensorMap& tensors, const std::string& configuration) {
  Hash hash;
  hash.text(configuration);
  for (const auto& [name, tensor] : tensors) {
    hash.text(name);
    hash.number(tensor.dim());
    for (const auto size : tensor.sizes()) hash.number(size);
    const at::Tensor values = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
    hash.bytes(values.const_data_ptr(), values.nbytes());
  }
  return hash.hex();
}

}  // namespace l2c
