#include "l2c/core/hash.h"
#include "l2c/io/safetensors.h"

namespace l2c::io {

std::string content_checksum(const TensorMap& tensors, const Metadata& metadata) {
  Hash hash;
  for (const auto& [name, value] : metadata) {
    if (name == "checksum") continue;
    hash.text(name);
    hash.text(value);
  }
  for (const auto& [name, tensor] : tensors) {
    hash.text(name);
    hash.number(static_cast<std::int64_t>(tensor.scalar_type()));
    for (const auto size : tensor.sizes()) hash.number(size);
    const at::Tensor values = tensor.detach().to(at::kCPU).contiguous();
    hash.bytes(values.const_data_ptr(), values.nbytes());
  }
  return hash.hex();
}

}  // namespace l2c::io
