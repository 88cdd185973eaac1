#include "l2c/cache/tea_cache.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "image_rows.h"
#include "l2c/core/error.h"
#include "range_run.h"
#include "residual_history.h"

namespace l2c {

namespace {

// Of one guidance pass.
struct TeaCacheState {
  TeaCacheState(CacheStore& cache_store, int pass, const RunShape& shape, const Recall& recall)
      : store(cache_store),
        input_slot{pass, 1, 0},
        blocks(store, {pass, 0, 0}, recall),
        images(store.rows(), shape.rows_per_image),
        distance(images.images(), 0) {}

  CacheStore& store;
  SlotId input_slot;       // the modulated input of the evaluation before
  ResidualHistory blocks;  // what all blocks added
  ImageRows images;
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
              const Recall& recall)
      : RangeRun(shape, store, recall), options_(std::move(options)) {}

 private:
  void trunk(Trunk& trunk) override {
    TeaCacheState& pass = state();
    ops::ResidualStream& stream = trunk.stream();
    const at::Tensor modulated = trunk.attention_input(0);
    const std::vector<char> reuses = decide(pass, modulated);
    pass.store.slot(pass.input_slot).copy_(modulated);

    const auto computed = pass.images.rows_where(reuses, false);
    const at::Tensor input = computed.empty() ? at::Tensor() : stream.tokens();
    trunk.run(0, trunk.blocks(), computed);
    if (!computed.empty()) pass.blocks.keep(computed, input, stream.tokens(), now());
    pass.blocks.add_to(stream, pass.images.rows_where(reuses, true), now());
  }

  // Whether each image reuses.
  std::vector<char> decide(TeaCacheState& pass, const at::Tensor& modulated) const {
    std::vector<char> reuses(pass.images.images(), 0);
    const bool nothing_known = !pass.blocks.knows(0);
    const bool last = evaluation().index + 1 == evaluation().count;
    if (nothing_known || last || options_.threshold <= 0) {
      std::fill(pass.distance.begin(), pass.distance.end(), 0.0);
      return reuses;
    }
    const auto changes = pass.images.relative_change(modulated, pass.store.stored(pass.input_slot));
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
                                          const Recall& recall) const {
  return std::make_unique<TeaCacheRun>(options_, shape, store, recall);
}

}  // namespace l2c
