#include "saved_tensors.h"

#include <fmt/format.h>

#include "l2c/core/error.h"
#include "l2c/core/hash.h"

namespace l2c {

std::string checksum(const io::TensorMap& tensors, const io::Metadata& metadata) {
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

std::string metadata_value(const io::Metadata& metadata, const std::string& name) {
  const auto found = metadata.find(name);
  return found == metadata.end() ? std::string() : found->second;
}

void check_finite(const io::TensorMap& tensors, std::int64_t step) {
  for (const auto& [name, tensor] : tensors) {
    if (at::isfinite(tensor).all().item<bool>()) continue;
    throw RunError(fmt::format(
        "{} is not finite after step {}, which is not saved: lower the learning rate, clip the "
        "gradients or warm up longer, in a new folder; the last checkpoint stays as it was",
        name, step));
  }
}

}  // namespace l2c
