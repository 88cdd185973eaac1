// What the runs have in common that cache ranges of blocks.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "image_rows.h"
#include "l2c/cache/plan.h"
#include "l2c/cache/policy.h"
#include "l2c/cache/recall.h"
#include "l2c/cache/store.h"
#include "l2c/models/branch_runner.h"
#include "residual_history.h"

namespace l2c {

// For most_stored(): tokens at the ends of ranges and what is compared, in fp32, which takes two of
// a bf16 run's slots.
inline constexpr int held_for_a_moment = 16;

inline const Recall& recall_or_latest(const Recall* recall) {
  static const Latest latest;
  return recall == nullptr ? latest : *recall;
}

// Computes every branch it is asked for and leaves to trunk() which blocks are run. The guidance
// passes are runs of their own: `State` is made for each, from (store, pass, shape, recall).
template <typename State>
class RangeRun : public CacheRun, protected BranchRunner {
 public:
  // Store and recall (null: the latest value) outlive this. Throws InputError for a recall that
  // does not fit the run, or does not know what ranges of blocks add.
  RangeRun(const RunShape& shape, CacheStore& store, const Recall* recall)
      : shape_(shape), store_(store), recall_(recall_or_latest(recall)) {
    recall_.check(shape);
    check_for_ranges(recall_);
  }

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

// Of one guidance pass of a policy that decides image by image.
struct DecidingState {
  DecidingState(CacheStore& cache_store, SlotId compared, SlotId added, const RunShape& shape,
                const Recall& recall)
      : store(cache_store),
        compared_slot(compared),
        residual(cache_store, added, recall),
        images(cache_store.rows(), shape.rows_per_image) {}

  // Nothing is there to reuse yet.
  [[nodiscard]] bool knows_nothing() const { return !residual.knows(0); }

  // Blocks [first, all): run for the images that do not reuse (one entry an image), whose
  // difference is kept; the others get theirs added. Returns the rows that were run.
  std::vector<std::int64_t> run_or_reuse(Trunk& trunk, int first, const std::vector<char>& reuses,
                                         const Moment& now);

  CacheStore& store;
  SlotId compared_slot;      // what the next evaluation is compared with
  ResidualHistory residual;  // what the blocks added
  ImageRows images;
};

}  // namespace l2c
