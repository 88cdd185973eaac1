// What the runs have in common that cache ranges of blocks.
#pragma once

#include <map>

#include "l2c/cache/plan.h"
#include "l2c/cache/policy.h"
#include "l2c/cache/recall.h"
#include "l2c/cache/store.h"
#include "l2c/models/branch_runner.h"

namespace l2c {

// Computes every branch it is asked for and leaves to trunk() which blocks are run. The guidance
// passes are runs of their own: `State` is made for each, from (store, pass, shape, recall).
template <typename State>
class RangeRun : public CacheRun, protected BranchRunner {
 public:
  // All but the shape outlive this.
  RangeRun(const RunShape& shape, CacheStore& store, const Recall& recall)
      : shape_(shape), store_(store), recall_(recall) {}

  BranchRunner& begin(const Evaluation& evaluation) final {
    evaluation_ = evaluation;
    return *this;
  }

 protected:
  BranchValue branch(BranchId /*id*/, BranchFunction compute) final { return single(compute({})); }

  [[nodiscard]] const Evaluation& evaluation() const { return evaluation_; }
  [[nodiscard]] Moment now() const { return {evaluation_.index, evaluation_.time}; }
  [[nodiscard]] State& state() {
    return states_.try_emplace(evaluation_.pass, store_, evaluation_.pass, shape_, recall_)
        .first->second;
  }

 private:
  RunShape shape_;
  CacheStore& store_;
  const Recall& recall_;
  Evaluation evaluation_;
  std::map<int, State> states_;
};

}  // namespace l2c
