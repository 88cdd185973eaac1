// The residual stream of a transformer.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/ops/norm.h"

namespace l2c {

// One summand of a branch's value.
struct Term {
  at::Tensor value;  // [N, T, D]
  float weight = 1;
};

// What a runner hands back for a branch: computed, stored, or a linear combination of stored
// values (forecasts).
using BranchValue = c10::SmallVector<Term, 1>;

// The value that is one tensor [N, T, D].
BranchValue single(at::Tensor tensor);

namespace ops {

// x_0 + gate_1 * branch_1 + gate_2 * branch_2 + ..., added up lazily: the branches wait until
// somebody asks for the tokens, so that a run of reused branches and the next norm can become one
// pass. The only place that fuses across branches. One forward pass owns one stream; not
// thread-safe. Plain ATen with autograd whenever gradients are on.
class ResidualStream {
 public:
  // [N, T, D]; may be written to when gradients are off. What normed() gives is of type `dtype`.
  explicit ResidualStream(at::Tensor tokens, at::ScalarType dtype = at::kFloat);

  // Adds gate * value. gate [N, D], or undefined for 1. value's terms: [N, T, D] each.
  void add(BranchValue value, at::Tensor gate);
  // LayerNorm and modulation of the tokens so far: [N, T, D], of the stream's type or the given
  // one.
  at::Tensor normed(const Norm& norm, const Modulation& modulation,
                    std::optional<at::ScalarType> dtype = {});
  // The tokens so far: [N, T, D]. Stays as it is whatever is added later.
  at::Tensor tokens();
  // Takes other tokens [N, T, D] from here on (U-ViT's skip connections); what was added before and
  // not asked for is dropped. They are never written to.
  void replace(at::Tensor tokens);

 private:
  void flush();
  void own();  // tokens_ that may be written to
  at::Tensor tokens_;
  at::ScalarType dtype_;
  bool shared_ = false;  // others may hold tokens_: it must not be written any more
  std::vector<std::pair<BranchValue, at::Tensor>> pending_;
};

}  // namespace ops
}  // namespace l2c
