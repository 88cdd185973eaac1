// The policies that come with l2c. No LibTorch header behind it.
#pragma once

#include <string>
#include <vector>

#include "l2c/cache/policy.h"
#include "l2c/cache/router.h"

namespace l2c {

// Computes everything: what a run without a policy does.
class ComputeAll final : public CachePolicy {
 public:
  [[nodiscard]] std::string name() const override { return "compute all"; }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override;
};

// The first `warm_up` evaluations compute everything, then every N-th one; those between reuse
// everything. EveryN(N) is FORA (arXiv 2407.01425) and Learning-to-Cache's baseline; with two
// evaluations to warm up it has the full steps of TaylorSeer (official code:
// TaylorSeer-DiT/cache_functions/cal_type.py, first_enhance 2). N = 1 computes everything. Throws
// InputError for n < 1 or warm_up < 1.
class EveryN final : public CachePolicy {
 public:
  explicit EveryN(int n, int warm_up = 1);
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override;

 private:
  int n_;
  int warm_up_;
};

// Which evaluations of a run are cache steps of a router with this RouterInfo::group: it is free to
// reuse in them.
std::vector<bool> router_cache_steps(int group, const RunShape& shape);

// Learning-to-Cache (arXiv 2406.01733): an evaluation is full iff its spaced index
// (Evaluation::row) is odd or nothing is stored yet; otherwise unit u is computed iff
// sigmoid(logit[row][u]) > threshold, in fp32 and strictly, else reused from the evaluation before.
// (Reference: learning-to-cache, DiT/models/dynamic_models.py; the paper's Algorithm 2 prints the
// test inverted.) Routers of our own training may have other full evaluations: RouterInfo::group.
class LearnedRouter final : public CachePolicy {
 public:
  // Throws InputError for a threshold outside [0, 1].
  LearnedRouter(Router router, double threshold);
  [[nodiscard]] std::string name() const override;
  // Throws InputError when depth, steps, spacing, sampler or model are not those the router was
  // trained for, as far as its file says.
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override;
  [[nodiscard]] const Router& router() const { return router_; }
  [[nodiscard]] double threshold() const { return threshold_; }

 private:
  Router router_;
  double threshold_;
};

}  // namespace l2c
