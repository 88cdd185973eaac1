#include "saved_tensors.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c {

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
