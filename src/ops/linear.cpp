#include "l2c/ops/linear.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <utility>

#include "cpu/operations.h"
#include "cuda/operations.h"
#include "l2c/core/error.h"
#include "l2c/ops/linear_builder.h"
#include "l2c/ops/workspace.h"

namespace l2c::ops {

namespace {

using cpu::Activation;

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

void check_packed(const PackedWeight& packed, const at::Tensor& x) {
  if (at::GradMode::is_enabled()) {
    throw Error("a model prepared for inference was asked for gradients: load it unprepared");
  }
  if (x.size(-1) != packed.in || !x.is_cpu()) {
    throw Error(fmt::format("a packed layer of {} inputs on the CPU was given {} on {}", packed.in,
                            x.size(-1), x.device().str()));
  }
}

at::Tensor packed_linear(const Linear& layer, const at::Tensor& x, at::Tensor out,
                         Activation activation) {
  const PackedWeight& packed = *layer.packed;
  check_packed(packed, x);
  const at::Tensor rows = as_rows(x.to(packed.dtype)).contiguous();
  if (!out.defined()) {
    auto shape = x.sizes().vec();
    shape.back() = packed.out;
    out = empty(shape, rows.options());
  }
  if (out.numel() != rows.size(0) * packed.out) {
    throw Error(fmt::format("{} rows of {} do not fit into [{}]", rows.size(0), packed.out,
                            fmt::join(out.sizes(), ", ")));
  }
  // A view, never a reshape: a copy of a strided `out` would swallow the result.
  at::Tensor out_rows = out.view({-1, packed.out});
  cpu::linear(layer, rows, out_rows, activation);
  return out;
}

at::Tensor linear_gelu(const Linear& layer, const at::Tensor& x, Activation activation) {
  if (layer.packed) return packed_linear(layer, x, {}, activation);
  if (activation == Activation::gelu_tanh && cuda::usable_for_gelu_tanh(layer, x)) {
    auto shape = x.sizes().vec();
    shape.back() = layer.weight.size(0);
    return cuda::linear_gelu_tanh(layer, as_rows(x.to(layer.weight.scalar_type()))).view(shape);
  }
  at::Tensor y = linear(layer, x);
  const char* const kind = activation == Activation::gelu_tanh ? "tanh" : "none";
  if (at::GradMode::is_enabled()) return at::gelu(y, kind);
  return at::gelu_(y, kind);  // nobody else has seen y: one tensor less to write
}

}  // namespace

Linear prepared(const Linear& layer, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const std::int64_t out = layer.weight.size(0);
  LinearBuilder builder(out, layer.weight.size(1), layer.weight.device(), dtype);
  builder.weight(0, layer.weight.to(at::kFloat));
  builder.bias(0, layer.bias.defined() ? layer.bias.to(at::kFloat) : at::zeros({out}));
  Linear result = builder.take();
  if (!layer.bias.defined()) result.bias.reset();
  return result;
}

at::Tensor linear(const Linear& layer, const at::Tensor& x, at::Tensor out) {
  if (layer.packed) return packed_linear(layer, x, std::move(out), Activation::none);
  const at::Tensor rows =
      as_rows(at::GradMode::is_enabled() ? x : x.to(layer.weight.scalar_type()));
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

at::ScalarType dtype(const Linear& layer) {
  return layer.packed ? layer.packed->dtype : layer.weight.scalar_type();
}

at::Tensor linear_to_fp32(const Linear& layer, const at::Tensor& x) {
  if (!layer.packed) return linear(layer, x).to(at::kFloat);
  auto shape = x.sizes().vec();
  shape.back() = layer.packed->out;
  return linear(layer, x, empty(shape, x.options().dtype(at::kFloat)));
}

at::Tensor linear_gelu_tanh(const Linear& layer, const at::Tensor& x) {
  return linear_gelu(layer, x, Activation::gelu_tanh);
}

at::Tensor linear_gelu_erf(const Linear& layer, const at::Tensor& x) {
  return linear_gelu(layer, x, Activation::gelu_erf);
}

}  // namespace l2c::ops
