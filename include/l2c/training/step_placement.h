// Where to put the evaluations that compute everything.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "l2c/cache/policy.h"
#include "l2c/cache/recall.h"
#include "l2c/core/torch.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/models/denoiser.h"
#include "l2c/sampling/denoise.h"

namespace l2c {

// How far a cached DDIM run is from the full model, seen in two ways that do not stand in for each
// other: an error of the last steps stays in the picture as noise however small it is, and small
// errors of many early steps, which later ones take for what is to be drawn, lead elsewhere.
struct CacheDeviation {
  double local = 0;  // sum over the steps of error_weight() * mean square error of epsilon
  double drift = 0;  // mean square of the last sample's error, of the full run's sample variance
  // The one number that is made small. The weight was chosen on the demo model, where the Frechet
  // distance grows alike with both (docs/quality.md).
  [[nodiscard]] double total() const { return local + 30 * drift; }
};

// The runs that placements are tried on.
struct PlacementRuns {
  const Denoiser& model;
  const Schedule& schedule;
  Guidance guidance;
  at::Tensor noise;   // [N, C, S, S]
  at::Tensor labels;  // [N]
};

// The error of a policy's run; `full` is the latents [N, C, S, S] of the run that computes
// everything. In evaluations that reuse something the full model runs on the same x, too. Guided
// epsilon is compared. Throws Cancelled between two steps, and as denoise() does.
CacheDeviation cache_deviation(const PlacementRuns& runs, const CachePolicy& policy,
                               const at::Tensor& full, const std::stop_token& stop = {});

struct Placement {
  std::vector<int> full_steps;  // evaluations, ascending; the first is 0
  CacheDeviation error;
  int tried = 0;
};

// What placements came to before: a search asks it before it runs one, and tells it of each it ran.
class PlacementRecord {
 public:
  virtual ~PlacementRecord() = default;
  // full_steps ascend.
  [[nodiscard]] virtual std::optional<CacheDeviation> find(
      const std::vector<int>& full_steps) const = 0;
  virtual void add(const std::vector<int>& full_steps, const CacheDeviation& error) = 0;
};

// `count` evaluations that compute everything while all others give what `recall` (never null)
// makes of these, so that cache_deviation().total() is small: from even spacing, steps are moved to
// their neighbours, and then the one that is missed least is put where it helps most, for as long
// as that helps. A local optimum, found in the order of 10 * schedule.steps() runs. `progress` is
// called after each with the number of runs and the smallest total yet. What `record` (may be null)
// has found before is not run again; `tried` counts it all the same, so that the result does not
// depend on it. Throws InputError for a count outside 1 ... steps, Cancelled, and as denoise() and
// the record do. Deterministic. One thread.
Placement place_full_steps(const PlacementRuns& runs, int count,
                           const std::shared_ptr<const Recall>& recall,
                           PlacementRecord* record = nullptr,
                           const std::function<void(int tried, double best)>& progress = {},
                           const std::stop_token& stop = {});

}  // namespace l2c
