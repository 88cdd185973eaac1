// All that a model knows of caching.
#pragma once

#include <cstdint>
#include <span>

#include "l2c/core/branch.h"
#include "l2c/core/torch.h"
#include "l2c/ops/residual_stream.h"

namespace l2c {

// The blocks of one forward pass, for a runner that wants to skip or observe ranges of them.
class Trunk {
 public:
  virtual ~Trunk() = default;
  [[nodiscard]] virtual int blocks() const = 0;
  // Blocks [first, last), in order, each at most once. Throws Error for others.
  virtual void run(int first, int last) = 0;
  // The same for some of the batch rows, ascending: the tokens of the others stay as they are, and
  // the values of the runner's branches are [rows.size(), T, D]. All rows at once are run() as
  // above; none: only the blocks count as run. Throws Error for rows that are not in the batch.
  virtual void run(int first, int last, std::span<const std::int64_t> rows) = 0;
  // [N, T, D] fp32: what the attention of `block` would be given for the tokens as they are now
  // (the block's LayerNorm and modulation). Runs nothing. Throws Error for a block that is not
  // there.
  virtual at::Tensor attention_input(int block) = 0;
  virtual ops::ResidualStream& stream() = 0;  // between two calls of run
};

// Computes a branch. A defined `out` ([N, T, D], contiguous) receives the result, which is returned
// either way: how a store keeps a value without a copy.
using BranchFunction = c10::function_ref<at::Tensor(at::Tensor out)>;

// Asked by the model, twice a block, for the value of a residual branch. The value is the branch
// output *before* the adaLN gate. Belongs to one forward pass at a time; state of a run lives
// behind it, never in the model.
class BranchRunner {
 public:
  virtual ~BranchRunner() = default;
  virtual BranchValue branch(BranchId id, BranchFunction compute) = 0;
  virtual void trunk(Trunk& trunk) { trunk.run(0, trunk.blocks()); }
};

// Computes every branch and keeps nothing: the uncached path.
class ComputeAllRunner final : public BranchRunner {
 public:
  BranchValue branch(BranchId id, BranchFunction compute) override;
};

}  // namespace l2c
