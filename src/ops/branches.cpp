#include "l2c/ops/branches.h"

#include <utility>

#include "cpu/operations.h"
#include "l2c/ops/attention.h"
#include "l2c/ops/workspace.h"

namespace l2c::ops {

namespace {

// Whether the kernels may do the whole branch: else its operations do, which also check.
bool fused(const Linear& first, const Linear& second, const at::Tensor& x, const at::Tensor& out) {
  return first.packed && second.packed && x.dim() == 3 && cpu::usable(x) &&
         x.scalar_type() == first.packed->dtype && second.packed->dtype == first.packed->dtype &&
         x.size(2) == first.packed->in && (!out.defined() || cpu::usable(out));
}

at::Tensor result(at::Tensor out, const Linear& last, const at::Tensor& x) {
  return out.defined() ? std::move(out)
                       : empty({x.size(0), x.size(1), last.packed->out}, x.options());
}

}  // namespace

at::Tensor attention_branch(const Linear& qkv, const Linear& proj, int heads, const at::Tensor& x,
                            at::Tensor out) {
  if (!fused(qkv, proj, x, out)) {
    return linear(proj, self_attention(linear(qkv, x), heads), std::move(out));
  }
  out = result(std::move(out), proj, x);
  cpu::attention_branch(qkv, proj, heads, x, out);
  return out;
}

at::Tensor mlp_branch(const Linear& fc1, const Linear& fc2, Gelu gelu, const at::Tensor& x,
                      at::Tensor out) {
  if (!fused(fc1, fc2, x, out)) {
    const at::Tensor hidden =
        gelu == Gelu::tanh ? linear_gelu_tanh(fc1, x) : linear_gelu_erf(fc1, x);
    return linear(fc2, hidden, std::move(out));
  }
  out = result(std::move(out), fc2, x);
  cpu::mlp_branch(fc1, fc2,
                  gelu == Gelu::tanh ? cpu::Activation::gelu_tanh : cpu::Activation::gelu_erf, x,
                  out);
  return out;
}

}  // namespace l2c::ops
