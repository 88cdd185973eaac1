#include "l2c/diffusion/guidance.h"

#include <fmt/format.h>

#include <cmath>

#include "l2c/core/error.h"

namespace l2c {

namespace {

void check(const at::Tensor& model_output, double scale, int channels) {
  if (!model_output.defined() || model_output.dim() != 4 || model_output.size(0) % 2 != 0) {
    throw InputError(fmt::format(
        "guidance needs a model output of shape [2N, C, H, W] (conditional rows, then the same "
        "with the null label), not [{}]",
        model_output.defined() ? fmt::format("{}", fmt::join(model_output.sizes(), ", "))
                               : "none"));
  }
  if (channels < 1 || channels > model_output.size(1)) {
    throw InputError(fmt::format("cannot guide {} channels of a model output that has {}", channels,
                                 model_output.size(1)));
  }
  if (!std::isfinite(scale)) {
    throw InputError(fmt::format("the guidance scale is {}; it must be a finite number", scale));
  }
}

}  // namespace

at::Tensor guide(const at::Tensor& model_output, double scale, int channels) {
  check(model_output, scale, channels);
  const std::int64_t images = model_output.size(0) / 2;
  const auto conditional = model_output.narrow(0, 0, images);
  const auto unconditional = model_output.narrow(0, images, images).narrow(1, 0, channels);
  const auto guided =
      at::sub(conditional.narrow(1, 0, channels), unconditional).mul_(scale).add_(unconditional);
  const std::int64_t others = model_output.size(1) - channels;
  if (others == 0) return guided;
  return at::cat({guided, conditional.narrow(1, channels, others)}, 1);
}

}  // namespace l2c
