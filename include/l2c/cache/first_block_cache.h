// First Block Cache: whether the blocks behind the first are run is decided by what the first one
// does.
//
// Source: ParaAttention (chengzeyi/ParaAttention, src/para_attn/first_block_cache/utils.py) and
// Diffusers' hooks/first_block_cache.py, which follow TeaCache (arXiv 2411.19108). Where the two
// differ (a change equal to the threshold) ours is ParaAttention: reused below it only.
// Deviations: each image decides for itself, whereas both have one decision for the whole batch;
// sums are fp32, and what is compared with was rounded to the run's dtype; the first *blocks* may
// be several (cache-dit's Fn); a limit of consecutive reuses (cache-dit's, too); any recall instead
// of the latest residual.
// No LibTorch header behind it.
#pragma once

#include "l2c/cache/policy.h"

namespace l2c {

struct FirstBlockOptions {
  // The first blocks' residual may change by this relative L1 distance, >= 0. 0: nothing is reused.
  double threshold = 0.1;
  int blocks = 1;   // that are always computed, >= 1
  int warm_up = 0;  // the first evaluations compute everything, >= 0
  int most = 0;     // consecutive evaluations that reuse, at most; 0: no limit
};

// Every evaluation computes the first blocks. Where mean |r - r0| / mean |r0| is below the
// threshold, r being what they add to the tokens and r0 what they added in the image's last
// evaluation that computed everything, the other blocks are not run: what they added then is added
// again.
class FirstBlockCache final : public CachePolicy {
 public:
  // Throws InputError for an option outside its range.
  explicit FirstBlockCache(const FirstBlockOptions& options);
  [[nodiscard]] std::string name() const override;
  // None: it decides as the run goes on.
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override;
  // Throws InputError for a model without more blocks than are always computed.
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                const Recall* recall) const override;
  [[nodiscard]] int most_stored(const RunShape& shape, const Recall* recall) const override;
  [[nodiscard]] const FirstBlockOptions& options() const { return options_; }

 private:
  FirstBlockOptions options_;
};

}  // namespace l2c
