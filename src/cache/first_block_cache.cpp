#include "l2c/cache/first_block_cache.h"

#include <fmt/format.h>

#include <vector>

#include "image_rows.h"
#include "l2c/core/error.h"
#include "range_run.h"
#include "residual_history.h"

namespace l2c {

namespace {

// Of one guidance pass.
struct FirstBlockState {
  FirstBlockState(CacheStore& cache_store, int pass, const RunShape& shape, const Recall& recall)
      : store(cache_store),
        first_slot{pass, 0, 0},
        // Its own unit's slots: the first behind those of block 0.
        rest(store, {pass, 2, 0}, recall),
        images(store.rows(), shape.rows_per_image),
        reused_in_a_row(images.images(), 0) {}

  CacheStore& store;
  SlotId first_slot;     // what the first blocks added in each row's last full evaluation
  ResidualHistory rest;  // what the others added
  ImageRows images;
  std::vector<int> reused_in_a_row;
};

class FirstBlockRun final : public RangeRun<FirstBlockState> {
 public:
  FirstBlockRun(const FirstBlockOptions& options, const RunShape& shape, CacheStore& store,
                const Recall& recall)
      : RangeRun(shape, store, recall), options_(options) {}

 private:
  void trunk(Trunk& trunk) override {
    FirstBlockState& pass = state();
    ops::ResidualStream& stream = trunk.stream();
    const at::Tensor input = stream.tokens();
    trunk.run(0, options_.blocks);
    const at::Tensor middle = stream.tokens();
    const at::Tensor first = middle - input;

    const std::vector<char> reuses = decide(pass, first);
    const auto computed = pass.images.rows_where(reuses, false);
    trunk.run(options_.blocks, trunk.blocks(), computed);
    if (!computed.empty()) {
      pass.rest.keep(computed, middle, stream.tokens(), now());
      keep_first(pass, computed, first);
    }
    pass.rest.add_to(stream, pass.images.rows_where(reuses, true), now());
  }

  // Whether each image reuses.
  std::vector<char> decide(FirstBlockState& pass, const at::Tensor& first) const {
    std::vector<char> reuses(pass.images.images(), 0);
    const bool nothing_known = !pass.rest.knows(0);
    if (nothing_known || evaluation().index < options_.warm_up || options_.threshold <= 0) {
      return reuses;
    }
    const auto changes = pass.images.relative_change(first, pass.store.stored(pass.first_slot));
    for (std::size_t image = 0; image < reuses.size(); ++image) {
      int& in_a_row = pass.reused_in_a_row[image];
      const bool enough = options_.most > 0 && in_a_row >= options_.most;
      reuses[image] = !enough && changes[image] < options_.threshold ? 1 : 0;
      in_a_row = reuses[image] != 0 ? in_a_row + 1 : 0;
    }
    return reuses;
  }

  static void keep_first(FirstBlockState& pass, const std::vector<std::int64_t>& rows,
                         const at::Tensor& first) {
    at::Tensor kept = pass.store.slot(pass.first_slot);
    if (static_cast<std::int64_t>(rows.size()) == first.size(0)) {
      kept.copy_(first);
      return;
    }
    const at::Tensor index = at::tensor(rows, at::kLong).to(first.device());
    kept.index_copy_(0, index, first.index_select(0, index).to(kept.scalar_type()));
  }

  FirstBlockOptions options_;
};

}  // namespace

FirstBlockCache::FirstBlockCache(const FirstBlockOptions& options) : options_(options) {
  // Written so that NaN fails, too.
  if (!(options.threshold >= 0)) {
    throw InputError(
        fmt::format("first-block threshold {}: give a number of at least 0", options.threshold));
  }
  if (options.blocks < 1 || options.warm_up < 0 || options.most < 0) {
    throw InputError(
        fmt::format("first-block cache with {} first blocks, {} evaluations of warm-up, at most {} "
                    "reuses in a row: give at least 1, 0 and 0",
                    options.blocks, options.warm_up, options.most));
  }
}

std::string FirstBlockCache::name() const {
  return fmt::format("first-block cache, threshold {}, blocks {}, warm-up {}, most {}",
                     options_.threshold, options_.blocks, options_.warm_up, options_.most);
}

std::optional<CachePlan> FirstBlockCache::plan(const RunShape& /*shape*/) const { return {}; }

std::unique_ptr<CacheRun> FirstBlockCache::start(const RunShape& shape, CacheStore& store,
                                                 const Recall& recall) const {
  if (options_.blocks >= shape.blocks) {
    throw InputError(fmt::format(
        "the first-block cache always computes {} blocks, and the model has {}: nothing "
        "is left to reuse; give fewer blocks",
        options_.blocks, shape.blocks));
  }
  return std::make_unique<FirstBlockRun>(options_, shape, store, recall);
}

}  // namespace l2c
