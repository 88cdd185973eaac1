// Δ-DiT: the rear blocks are reused early in sampling, the front blocks later.
//
// Source: Δ-DiT: A Training-Free Acceleration Method Tailored for Diffusion Transformers (arXiv
// 2406.01125). There is no official code. What is taken from the paper: what is kept is the
// difference that a range of blocks makes to the tokens (Δ-Cache); every interval-th evaluation
// computes everything; front blocks shape the outline and rear blocks the details, so that the
// rear ones are reused up to a boundary and the front ones behind it.
// Ours: the interval is counted through, across the boundary; the number of reused blocks and the
// boundary, which the paper sets for each model and budget, are three quarters of the blocks and
// half of the evaluations where nothing else is asked for; any recall instead of the latest
// difference.
// No LibTorch header behind it.
#pragma once

#include <optional>

#include "l2c/cache/policy.h"

namespace l2c {

struct DeltaDiTOptions {
  int interval = 2;             // evaluations 0, interval, 2 interval, ... compute everything; >= 1
  std::optional<int> blocks{};  // that are reused, >= 1; unset: three quarters, rounded down
  std::optional<int> boundary{};  // the first evaluations, whose rear blocks are reused, >= 0;
                                  // unset: half, rounded up
};

class DeltaDiT final : public CachePolicy {
 public:
  // Throws InputError for an option outside its range.
  explicit DeltaDiT(const DeltaDiTOptions& options);
  [[nodiscard]] std::string name() const override;
  // All branches of the reused blocks; held as one tensor a range. Throws InputError for more
  // blocks than the model has.
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override;
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                const Recall* recall) const override;
  [[nodiscard]] int most_stored(const RunShape& shape, const Recall* recall) const override;
  [[nodiscard]] const DeltaDiTOptions& options() const { return options_; }

 private:
  DeltaDiTOptions options_;
};

}  // namespace l2c
