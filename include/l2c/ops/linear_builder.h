// Dense layers put together from parts.
#pragma once

#include <map>
#include <optional>

#include "l2c/core/torch.h"
#include "l2c/ops/linear.h"

namespace l2c::ops {

// Makes a layer of rows that come one part after the other, in any order, so that the layer's fp32
// weight is never in memory as a whole beside the prepared one. The result is the same, bit for
// bit, as that of all rows at once. Not thread-safe.
class LinearBuilder {
 public:
  // A layer [out, in] with a bias: plain fp32 on the device, or with `products` (fp32 or bf16) as
  // prepared() makes it. Throws Error on other types.
  LinearBuilder(std::int64_t out, std::int64_t in, at::Device device,
                std::optional<at::ScalarType> products);

  // Rows first, first + 1, ... of the weight: [count, in], fp32, copied. Every row is given once.
  // Throws Error for another shape or type and for rows that the layer does not have.
  void weight(std::int64_t first, const at::Tensor& rows);
  // The same of the bias: [count].
  void bias(std::int64_t first, const at::Tensor& values);
  // Throws Error when rows were left out.
  [[nodiscard]] Linear take();

 private:
  // Rows that fill no whole block of the packed layout yet.
  struct Block {
    at::Tensor rows;
    std::int64_t missing = 0;
  };
  void pack(std::int64_t first, const at::Tensor& rows);
  void pack_later(std::int64_t first, const at::Tensor& rows);
  void check(std::int64_t first, const at::Tensor& rows, bool of_weight) const;

  std::int64_t out_, in_;
  std::int64_t weight_rows_ = 0, bias_rows_ = 0;  // given so far
  Linear layer_;
  std::map<std::int64_t, Block> blocks_;  // by their first row
};

}  // namespace l2c::ops
