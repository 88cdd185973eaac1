#include "l2c/cache/delta_dit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "range_run.h"

namespace l2c {

namespace {

// Blocks [first, last).
struct BlockRange {
  int first = 0;
  int last = 0;
};

// The options with what the run decides filled in.
struct Ranges {
  int interval = 1;
  int boundary = 0;
  BlockRange rear;
  BlockRange front;
  std::vector<bool> anew;  // evaluations that start anew

  [[nodiscard]] bool computes_all(int evaluation) const {
    return evaluation % interval == 0 || anew[static_cast<std::size_t>(evaluation)];
  }
  // Whether it reuses the rear blocks (or the front ones), unless it computes all.
  [[nodiscard]] bool is_early(int evaluation) const { return evaluation < boundary; }
};

Ranges ranges_of(const DeltaDiTOptions& options, const RunShape& shape) {
  const int blocks = options.blocks.value_or(std::max(1, shape.blocks * 3 / 4));
  if (blocks > shape.blocks) {
    throw InputError(
        fmt::format("Delta-DiT reuses {} blocks, but the model has {}: give fewer blocks", blocks,
                    shape.blocks));
  }
  const auto evaluations = static_cast<int>(shape.evaluations.size());
  std::vector<bool> anew;
  for (const Evaluation& evaluation : shape.evaluations) anew.push_back(evaluation.starts_anew);
  return {.interval = options.interval,
          .boundary = options.boundary.value_or((evaluations + 1) / 2),
          .rear = {shape.blocks - blocks, shape.blocks},
          .front = {0, blocks},
          .anew = std::move(anew)};
}

// Whether a full evaluation's difference of the early (or late) range is read again by somebody who
// looks back on `depth` full evaluations.
bool is_read(const Ranges& ranges, int full, int evaluations, bool early, int depth = 1) {
  const int last = std::min(full + ranges.interval * depth, evaluations);
  for (int e = full + 1; e < last; ++e) {
    if (!ranges.computes_all(e) && ranges.is_early(e) == early) return true;
  }
  return false;
}

// Of one guidance pass.
struct DeltaState {
  DeltaState(CacheStore& store, int pass, const RunShape& shape, const Recall& recall)
      : rear(store, {pass, 0, 0}, recall),
        front(store, {pass, 1, 0}, recall),
        rows(static_cast<std::size_t>(store.rows())),
        evaluations(static_cast<int>(shape.evaluations.size())),
        depth(recall.depth()) {
    std::iota(rows.begin(), rows.end(), 0);
  }

  ResidualHistory rear;   // what the last blocks added
  ResidualHistory front;  // what the first blocks added
  std::vector<std::int64_t> rows;
  int evaluations;
  int depth;
};

class DeltaRun final : public RangeRun<DeltaState> {
 public:
  DeltaRun(const Ranges& ranges, const RunShape& shape, CacheStore& store, const Recall* recall)
      : RangeRun(shape, store, recall), ranges_(ranges) {}

 private:
  void trunk(Trunk& trunk) override {
    const int e = evaluation().index;
    if (ranges_.computes_all(e)) return compute_all(trunk);
    const bool early = ranges_.is_early(e);
    const BlockRange range = early ? ranges_.rear : ranges_.front;
    const ResidualHistory& history = early ? state().rear : state().front;
    trunk.run(0, range.first);
    history.add_to(trunk.stream(), state().rows, now());
    trunk.run(range.last, trunk.blocks());
  }

  void compute_all(Trunk& trunk) {
    DeltaState& pass = state();
    const int e = evaluation().index;
    const bool rear = is_read(ranges_, e, pass.evaluations, true, pass.depth);
    const bool front = is_read(ranges_, e, pass.evaluations, false, pass.depth);
    // What is not kept now has no reader left who would look back as far as this.
    if (!rear) pass.rear.clear();
    if (!front) pass.front.clear();
    std::vector<int> stops;
    if (rear) stops.insert(stops.end(), {ranges_.rear.first, ranges_.rear.last});
    if (front) stops.insert(stops.end(), {ranges_.front.first, ranges_.front.last});
    const auto tokens = run_with_stops(trunk, std::move(stops));
    if (rear) keep(pass.rear, ranges_.rear, tokens);
    if (front) keep(pass.front, ranges_.front, tokens);
  }

  using TokensAt = std::map<int, at::Tensor>;

  // Runs all blocks; the tokens in front of the given ones.
  static TokensAt run_with_stops(Trunk& trunk, std::vector<int> stops) {
    std::sort(stops.begin(), stops.end());
    TokensAt tokens;
    int next = 0;
    for (const int stop : stops) {
      trunk.run(next, stop);
      next = stop;
      tokens[stop] = trunk.stream().tokens();
    }
    trunk.run(next, trunk.blocks());
    return tokens;
  }

  void keep(ResidualHistory& history, BlockRange range, const TokensAt& tokens) {
    history.keep(state().rows, tokens.at(range.first), tokens.at(range.last), now());
  }

  Ranges ranges_;
};

}  // namespace

DeltaDiT::DeltaDiT(const DeltaDiTOptions& options) : options_(options) {
  if (options.interval < 1 || options.blocks.value_or(1) < 1 || options.boundary.value_or(0) < 0) {
    throw InputError(
        fmt::format("Delta-DiT with an interval of {}, {} blocks and the boundary at {}: give at "
                    "least 1, 1 and 0",
                    options.interval, options.blocks.value_or(1), options.boundary.value_or(0)));
  }
}

std::string DeltaDiT::name() const {
  return fmt::format("Delta-DiT, interval {}, blocks {}, boundary {}", options_.interval,
                     options_.blocks ? fmt::format("{}", *options_.blocks) : "3/4",
                     options_.boundary ? fmt::format("{}", *options_.boundary) : "1/2");
}

std::optional<CachePlan> DeltaDiT::plan(const RunShape& shape) const {
  const Ranges ranges = ranges_of(options_, shape);
  CachePlan plan(static_cast<int>(shape.evaluations.size()), shape.units());
  bool rear = false;
  bool front = false;
  bool both = false;
  bool any_rear = false;
  bool any_front = false;
  for (int e = 0; e < plan.evaluations(); ++e) {
    if (ranges.computes_all(e)) {
      rear = is_read(ranges, e, plan.evaluations(), true);
      front = is_read(ranges, e, plan.evaluations(), false);
      both = both || (rear && front);
      any_rear = any_rear || rear;
      any_front = any_front || front;
      continue;
    }
    const BlockRange range = ranges.is_early(e) ? ranges.rear : ranges.front;
    for (int unit = 2 * range.first; unit < 2 * range.last; ++unit) plan.reuse(e, unit);
  }
  if (plan.reused() > 0) plan.hold_at_most(both ? 2 : 1, any_rear && any_front ? 2 : 1);
  return plan;
}

std::unique_ptr<CacheRun> DeltaDiT::start(const RunShape& shape, CacheStore& store,
                                          const Recall* recall) const {
  return std::make_unique<DeltaRun>(ranges_of(options_, shape), shape, store, recall);
}

int DeltaDiT::most_stored(const RunShape& shape, const Recall* recall) const {
  return CachePolicy::most_stored(shape, recall) + held_for_a_moment;
}

}  // namespace l2c
