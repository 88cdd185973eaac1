// TeaCache: whether the blocks are run is decided by how much the first one's input has changed.
//
// Source: Timestep Embedding Tells: It's Time to Cache for Video Diffusion Model (arXiv
// 2411.19108), ali-vilab/TeaCache; the decision is that of TeaCache4FLUX/teacache_flux.py, which
// computes the first and the last evaluation always.
// Deviations: each image decides for itself, whereas the official code has one decision for the
// whole batch; with a threshold of 0 nothing is reused even if the polynomial is negative; sums are
// fp32, and the input compared with was rounded to the run's dtype; any recall instead of the
// latest residual. There are no official coefficients for DiT: the default polynomial is the
// identity, so that the threshold is one of the distance itself.
// No LibTorch header behind it.
#pragma once

#include <vector>

#include "l2c/cache/policy.h"

namespace l2c {

struct TeaCacheOptions {
  // Of the accumulated distance, >= 0. 0: nothing is reused.
  double threshold = 0.1;
  // The polynomial from relative L1 distance of inputs to that of outputs, highest power first, as
  // numpy.poly1d takes it.
  std::vector<double> coefficients{1, 0};
};

// In each evaluation but the first and the last, p(mean |m - m0| / mean |m0|) is added to an
// image's sum: m is the first block's modulated input (LayerNorm, then shift and scale of its
// attention), m0 that of the evaluation before, p the polynomial. While the sum is below the
// threshold no block is run, and what all blocks added to the tokens in the image's last computed
// evaluation is added again. Otherwise all are run, and the sum begins at 0.
class TeaCache final : public CachePolicy {
 public:
  // Throws InputError: a threshold below 0, no coefficient, one that is not finite.
  explicit TeaCache(TeaCacheOptions options);
  [[nodiscard]] std::string name() const override;
  // None: it decides as the run goes on.
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override;
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                const Recall* recall) const override;
  [[nodiscard]] int most_stored(const RunShape& shape, const Recall* recall) const override;
  [[nodiscard]] const TeaCacheOptions& options() const { return options_; }

 private:
  TeaCacheOptions options_;
};

}  // namespace l2c
