#include "l2c/ops/linear.h"

namespace l2c::ops {

namespace {

at::Tensor as_rows(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

at::Tensor product(const Linear& layer, const at::Tensor& rows) {
  const at::Tensor transposed = layer.weight.t();
  return layer.bias.defined() ? at::addmm(layer.bias, rows, transposed) : at::mm(rows, transposed);
}

void product_into(at::Tensor& out, const Linear& layer, const at::Tensor& rows) {
  const at::Tensor transposed = layer.weight.t();
  if (layer.bias.defined()) {
    at::addmm_out(out, layer.bias, rows, transposed);
  } else {
    at::mm_out(out, rows, transposed);
  }
}

}  // namespace

at::Tensor linear(const Linear& layer, const at::Tensor& x, at::Tensor out) {
  const at::Tensor rows = as_rows(x);
  if (out.defined()) {
    // A view, never a reshape: a copy of a strided `out` would swallow the result.
    at::Tensor out_rows = out.view({-1, out.size(-1)});
    product_into(out_rows, layer, rows);
    return out;
  }
  auto shape = x.sizes().vec();
  shape.back() = layer.weight.size(0);
  return product(layer, rows).view(shape);
}

at::Tensor linear_gelu_tanh(const Linear& layer, const at::Tensor& x) {
  at::Tensor y = linear(layer, x);
  if (at::GradMode::is_enabled()) return at::gelu(y, "tanh");
  return at::gelu_(y, "tanh");  // nobody else has seen y: one tensor less to write
}

}  // namespace l2c::ops
