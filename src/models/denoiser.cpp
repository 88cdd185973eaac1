#include "l2c/models/denoiser.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c {

namespace {

[[noreturn]] void refuse(const DenoiserInfo& info) {
  throw Error(fmt::format(
      "{} makes what depends on timestep and label within its forward pass alone: use forward()",
      info.architecture));
}

}  // namespace

at::Tensor Denoiser::conditions(const at::Tensor& /*t*/, const at::Tensor& /*y*/) const {
  refuse(info());
}

at::Tensor Denoiser::forward_conditioned(const at::Tensor& /*x*/, const at::Tensor& /*conditions*/,
                                         BranchRunner& /*runner*/) const {
  refuse(info());
}

}  // namespace l2c
