#include "l2c/ops/norm.h"

namespace l2c::ops {

namespace {

at::Tensor layer_norm(const at::Tensor& x, const Norm& norm) {
  return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, norm.eps);
}

}  // namespace

at::Tensor norm_modulate(const at::Tensor& x, const Norm& norm, const Modulation& modulation) {
  at::Tensor y = layer_norm(x, norm);
  if (!modulation.scale.defined()) return y;
  // One pass over the tokens where x * (1 + scale) + shift takes two.
  const at::Tensor factor = (modulation.scale + 1).unsqueeze(1);
  const at::Tensor shift = modulation.shift.unsqueeze(1);
  if (at::GradMode::is_enabled()) return at::addcmul(shift, y, factor);
  return at::addcmul_out(y, shift, y, factor);
}

}  // namespace l2c::ops
