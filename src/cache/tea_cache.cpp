#include "l2c/cache/tea_cache.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "l2c/core/error.h"
#include "range_run.h"

namespace l2c {

namespace {

struct TeaCacheState : DecidingState {
  // What is compared: the modulated input of the evaluation before.
  TeaCacheState(CacheStore& cache_store, int pass, const RunShape& shape, const Recall& recall)
      : DecidingState(cache_store, {pass, 1, 0}, {pass, 0, 0}, shape, recall),
        distance(images.images(), 0) {}

  std::vector<double> distance;  // accumulated since an image was computed
};

double polynomial(const std::vector<double>& coefficients, double x) {
  double sum = 0;
  for (const double coefficient : coefficients) sum = sum * x + coefficient;
  return sum;
}

class TeaCacheRun final : public RangeRun<TeaCacheState> {
 public:
  TeaCacheRun(TeaCacheOptions options, const RunShape& shape, CacheStore& store,
              const Recall* recall)
      : RangeRun(shape, store, recall), options_(std::move(options)) {}

 private:
  void trunk(Trunk& trunk) override {
    TeaCacheState& pass = state();
    const at::Tensor modulated = trunk.attention_input(0);
    const std::vector<char> reuses = decide(pass, modulated);
    pass.store.slot(pass.compared_slot).copy_(modulated);
    pass.run_or_reuse(trunk, 0, reuses, now());
  }

  // Whether each image reuses.
  std::vector<char> decide(TeaCacheState& pass, const at::Tensor& modulated) const {
    std::vector<char> reuses(pass.images.images(), 0);
    const bool last = evaluation().index + 1 == evaluation().count;
    if (pass.knows_nothing() || last || options_.threshold <= 0) {
      std::fill(pass.distance.begin(), pass.distance.end(), 0.0);
      return reuses;
    }
    const auto changes =
        pass.images.relative_change(modulated, pass.store.stored(pass.compared_slot));
    for (std::size_t image = 0; image < reuses.size(); ++image) {
      double& distance = pass.distance[image];
      distance += polynomial(options_.coefficients, changes[image]);
      reuses[image] = distance < options_.threshold ? 1 : 0;
      if (reuses[image] == 0) distance = 0;
    }
    return reuses;
  }

  TeaCacheOptions options_;
};

}  // namespace

TeaCache::TeaCache(TeaCacheOptions options) : options_(std::move(options)) {
  // Written so that NaN fails, too.
  if (!(options_.threshold >= 0)) {
    throw InputError(
        fmt::format("TeaCache threshold {}: give a number of at least 0", options_.threshold));
  }
  const auto& coefficients = options_.coefficients;
  if (coefficients.empty() || !std::all_of(coefficients.begin(), coefficients.end(),
                                           [](double c) { return std::isfinite(c); })) {
    throw InputError(
        fmt::format("TeaCache coefficients [{}]: give at least one number, highest power first "
                    "(1, 0: the distance as it is)",
                    fmt::join(coefficients, ", ")));
  }
}

std::string TeaCache::name() const {
  return fmt::format("TeaCache, threshold {}, coefficients {}", options_.threshold,
                     fmt::join(options_.coefficients, "/"));
}

std::optional<CachePlan> TeaCache::plan(const RunShape& /*shape*/) const { return {}; }

std::unique_ptr<CacheRun> TeaCache::start(const RunShape& shape, CacheStore& store,
                                          const Recall* recall) const {
  return std::make_unique<TeaCacheRun>(options_, shape, store, recall);
}

int TeaCache::most_stored(const RunShape& /*shape*/, const Recall* recall) const {
  return 1 + recall_or_latest(recall).depth() + held_for_a_moment;
}

}  // namespace l2c
