#include "l2c/cache/first_block_cache.h"

#include <fmt/format.h>

#include <vector>

#include "l2c/core/error.h"
#include "range_run.h"

namespace l2c {

namespace {

struct FirstBlockState : DecidingState {
  // What is compared: what the first blocks added in each row's last full evaluation. The slots of
  // what the others added are their first unit's.
  FirstBlockState(CacheStore& cache_store, int pass, const RunShape& shape, const Recall& recall)
      : DecidingState(cache_store, {pass, 0, 0}, {pass, 2, 0}, shape, recall),
        reused_in_a_row(images.images(), 0) {}

  std::vector<int> reused_in_a_row;
};

class FirstBlockRun final : public RangeRun<FirstBlockState> {
 public:
  FirstBlockRun(const FirstBlockOptions& options, const RunShape& shape, CacheStore& store,
                const Recall* recall)
      : RangeRun(shape, store, recall), options_(options) {}

 private:
  void trunk(Trunk& trunk) override {
    FirstBlockState& pass = state();
    const at::Tensor input = trunk.stream().tokens();
    trunk.run(0, options_.blocks);
    const at::Tensor first = trunk.stream().tokens() - input;
    const auto computed = pass.run_or_reuse(trunk, options_.blocks, decide(pass, first), now());
    if (!computed.empty()) copy_rows(pass.store.slot(pass.compared_slot), first, computed);
  }

  // Whether each image reuses.
  std::vector<char> decide(FirstBlockState& pass, const at::Tensor& first) const {
    std::vector<char> reuses(pass.images.images(), 0);
    if (pass.knows_nothing() || evaluation().index < options_.warm_up || options_.threshold <= 0) {
      return reuses;
    }
    const auto changes = pass.images.relative_change(first, pass.store.stored(pass.compared_slot));
    for (std::size_t image = 0; image < reuses.size(); ++image) {
      int& in_a_row = pass.reused_in_a_row[image];
      const bool enough = options_.most > 0 && in_a_row >= options_.most;
      reuses[image] = !enough && changes[image] < options_.threshold ? 1 : 0;
      in_a_row = reuses[image] != 0 ? in_a_row + 1 : 0;
    }
    return reuses;
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
                                                 const Recall* recall) const {
  if (options_.blocks >= shape.blocks) {
    throw InputError(fmt::format(
        "the first-block cache always computes {} blocks, and the model has {}: nothing "
        "is left to reuse; give fewer blocks",
        options_.blocks, shape.blocks));
  }
  return std::make_unique<FirstBlockRun>(options_, shape, store, recall);
}

int FirstBlockCache::most_stored(const RunShape& /*shape*/, const Recall* recall) const {
  return 1 + recall_or_latest(recall).depth() + held_for_a_moment;
}

}  // namespace l2c
