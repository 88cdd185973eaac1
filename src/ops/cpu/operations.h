// The CPU kernels on tensors: shapes, types and threads. Callers have checked usable().
#pragma once

#include <utility>
#include <vector>

#include "cpu/kernels.h"
#include "l2c/ops/linear.h"
#include "l2c/ops/residual_stream.h"

namespace l2c::ops::cpu {

// Whether a kernel may work on this tensor: fp32 or bf16 on the CPU, rows without gaps, and nobody
// who would differentiate.
bool usable(const at::Tensor& tensor);

// Packing in parts: memory for [out, in], and rows (fp32, contiguous, CPU) put into it as the
// weight's rows from `first` on. `first` is a multiple of kernels().column_block, and so is the
// number of rows, unless they are the weight's last.
PackedWeight empty_packed(std::int64_t out, std::int64_t in, at::ScalarType dtype);
void pack_rows(PackedWeight& packed, std::int64_t first, const at::Tensor& rows);

// x [rows, in] of the packed type -> out [rows, out], fp32 or bf16, rows without gaps.
void linear(const Linear& layer, const at::Tensor& x, at::Tensor& out, Activation activation);

// qkv [N, T, 3 * D] -> [N, T, D].
at::Tensor attention(const at::Tensor& qkv, int heads);

// The branches of a transformer block, so that what lies between their products stays in a core's
// cache. x [N, T, D] of the packed layers' type, contiguous -> out [N, T, D], fp32 or bf16,
// contiguous. The bits are those of the operations one after another.
void attention_branch(const Linear& qkv, const Linear& proj, int heads, const at::Tensor& x,
                      at::Tensor& out);
void mlp_branch(const Linear& fc1, const Linear& fc2, Activation activation, const at::Tensor& x,
                at::Tensor& out);

using Pending = std::vector<std::pair<BranchValue, at::Tensor>>;

// Adds what is pending to tokens [N, T, D] (fp32, contiguous); add_and_norm() returns their norm,
// of type `dtype`.
bool usable(const at::Tensor& tokens, const Pending& pending);
bool usable(const Modulation& modulation);
void add(at::Tensor& tokens, const Pending& pending);
at::Tensor add_and_norm(at::Tensor& tokens, const Pending& pending, const Norm& norm,
                        const Modulation& modulation, at::ScalarType dtype);

}  // namespace l2c::ops::cpu
