// From tensors to what the residual stream's kernel is told. Nothing here needs a GPU.
#pragma once

#include <utility>
#include <vector>

#include "cuda/residual_pass.h"
#include "l2c/ops/residual_stream.h"

namespace l2c::ops::cuda {

using Pending = std::vector<std::pair<BranchValue, at::Tensor>>;

// Whether the kernel can take these tensors [N, T, D]: types, shapes, rows without gaps, all on the
// tokens' device. Whatever that device is.
bool fits(const at::Tensor& tokens, const Pending& pending);
bool fits(const at::Tensor& tokens, const Norm& norm, const Modulation& modulation);

// Passes that add all that is pending, in its order: one for every most_summands terms. The tensors
// must live until the passes have run.
std::vector<ResidualPass> passes(at::Tensor& tokens, const Pending& pending);
// The same, at least one, the last of which writes the norm to `out` [N, T, D], fp32 or bf16.
std::vector<ResidualPass> passes(at::Tensor& tokens, const Pending& pending, const Norm& norm,
                                 const Modulation& modulation, at::Tensor& out);

// Four elements at a time where every pointer and every row allows it.
Launch launch_of(const ResidualPass& pass);

}  // namespace l2c::ops::cuda
