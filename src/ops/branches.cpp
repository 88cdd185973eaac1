#include "l2c/ops/branches.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "cpu/operations.h"
#include "l2c/core/error.h"
#include "l2c/ops/attention.h"
#include "l2c/ops/workspace.h"

namespace l2c::ops {

namespace {

// Whether the kernels may do the whole branch: else its operations do.
bool fused(const Linear& first, const Linear& second, const at::Tensor& x, const at::Tensor& out) {
  return first.packed && second.packed && x.dim() == 3 && cpu::usable(x) &&
         x.scalar_type() == first.packed->dtype && second.packed->dtype == first.packed->dtype &&
         x.size(2) == first.packed->in && (!out.defined() || cpu::usable(out));
}

// The kernels see pointers alone. `made`: what the first layer must make, `taken`: what the second
// must take.
void check_fit(const Linear& first, std::int64_t made, const Linear& second, std::int64_t taken,
               const at::Tensor& x, const at::Tensor& out) {
  if (first.packed->out != made || second.packed->in != taken) {
    throw Error(fmt::format("layers [{}, {}] and [{}, {}] do not make one branch",
                            first.packed->out, first.packed->in, second.packed->out,
                            second.packed->in));
  }
  const std::vector<std::int64_t> expected{x.size(0), x.size(1), second.packed->out};
  if (out.defined() && out.sizes() != c10::ArrayRef<std::int64_t>(expected)) {
    throw Error(fmt::format("a branch's result is [{}], but was to go to [{}]",
                            fmt::join(expected, ", "), fmt::join(out.sizes(), ", ")));
  }
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
  check_fit(qkv, 3 * x.size(2), proj, x.size(2), x, out);
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
  check_fit(fc1, fc1.packed->out, fc2, fc1.packed->out, x, out);
  out = result(std::move(out), fc2, x);
  cpu::mlp_branch(fc1, fc2,
                  gelu == Gelu::tanh ? cpu::Activation::gelu_tanh : cpu::Activation::gelu_erf, x,
                  out);
  return out;
}

}  // namespace l2c::ops
