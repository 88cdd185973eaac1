#include "l2c/ops/linear_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "cpu/kernels.h"
#include "cpu/operations.h"
#include "l2c/core/error.h"

namespace l2c::ops {

LinearBuilder::LinearBuilder(std::int64_t out, std::int64_t in, at::Device device,
                             std::optional<at::ScalarType> products)
    : out_(out), in_(in) {
  const at::ScalarType type = products.value_or(at::kFloat);
  if (type != at::kFloat && type != at::kBFloat16) {
    throw Error(fmt::format("layers are prepared in fp32 or bf16, not in {}", c10::toString(type)));
  }
  const bool packed = products.has_value() && device.is_cpu();
  const auto options = at::TensorOptions(device).dtype(packed ? at::kFloat : type);
  layer_.bias = at::empty({out}, options);
  if (packed) {
    layer_.packed = cpu::empty_packed(out, in, type);
  } else {
    layer_.weight = at::empty({out, in}, options);
  }
}

void LinearBuilder::check(std::int64_t first, const at::Tensor& rows, bool of_weight) const {
  const bool fits = of_weight ? rows.dim() == 2 && rows.size(1) == in_ : rows.dim() == 1;
  if (fits && first >= 0 && first + rows.size(0) <= out_ && rows.scalar_type() == at::kFloat) {
    return;
  }
  const std::int64_t count = rows.dim() > 0 ? rows.size(0) : 0;
  throw Error(fmt::format("rows {} to {} [{}] ({}) do not belong to the {} of a layer [{}, {}]",
                          first, first + count, fmt::join(rows.sizes(), ", "),
                          c10::toString(rows.scalar_type()), of_weight ? "weight" : "bias", out_,
                          in_));
}

void LinearBuilder::weight(std::int64_t first, const at::Tensor& rows) {
  const at::NoGradGuard no_grad;
  check(first, rows, /*of_weight=*/true);
  if (layer_.packed) {
    pack(first, rows.to(at::kCPU).contiguous());
  } else {
    layer_.weight.narrow(0, first, rows.size(0)).copy_(rows);
  }
  weight_rows_ += rows.size(0);
}

void LinearBuilder::bias(std::int64_t first, const at::Tensor& values) {
  const at::NoGradGuard no_grad;
  check(first, values, /*of_weight=*/false);
  layer_.bias.narrow(0, first, values.size(0)).copy_(values);
  bias_rows_ += values.size(0);
}

// Whole blocks of the packed layout at once; what is left before and behind them waits for the
// rest of its block.
void LinearBuilder::pack(std::int64_t first, const at::Tensor& rows) {
  const std::int64_t block = cpu::kernels().column_block;
  const std::int64_t last = first + rows.size(0);
  const std::int64_t begin = std::min((first + block - 1) / block * block, last);
  const std::int64_t end = last == out_ ? last : std::max(last / block * block, begin);
  const auto part = [&](std::int64_t from, std::int64_t to) {
    return rows.narrow(0, from - first, to - from);
  };
  if (first < begin) pack_later(first, part(first, begin));
  if (begin < end) cpu::pack_rows(*layer_.packed, begin, part(begin, end));
  if (end < last) pack_later(end, part(end, last));
}

void LinearBuilder::pack_later(std::int64_t first, const at::Tensor& rows) {
  const std::int64_t size = cpu::kernels().column_block;
  const std::int64_t start = first / size * size;
  const std::int64_t height = std::min(size, out_ - start);
  auto& block = blocks_[start];
  if (!block.rows.defined()) block = {at::empty({height, in_}, at::kFloat), height};
  block.rows.narrow(0, first - start, rows.size(0)).copy_(rows);
  block.missing -= rows.size(0);
  if (block.missing > 0) return;
  cpu::pack_rows(*layer_.packed, start, block.rows);
  blocks_.erase(start);
}

Linear LinearBuilder::take() {
  if (weight_rows_ != out_ || bias_rows_ != out_) {
    throw Error(fmt::format("a layer of {} rows was given {} of its weight and {} of its bias",
                            out_, weight_rows_, bias_rows_));
  }
  return std::exchange(layer_, {});
}

}  // namespace l2c::ops
