// Which branches a run computes and which it reuses, decided before the run. Plain data, no
// LibTorch header behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "l2c/core/branch.h"

namespace l2c {

class Recall;

// What a policy may know of a run: shapes, never tensors.
struct RunShape {
  int blocks = 0;
  std::vector<Evaluation> evaluations;  // the model calls of one pass, in order
  int passes = 1;                       // guidance passes with stores of their own
  std::string spacing;                  // the schedule's spacing string, "20" or "ddim20"
  std::string sampler;                  // "ddim" or "ddpm"
  std::string fingerprint;              // of the model; empty: unknown (planning without weights)
  // Batch rows of one image in a model call: of N images in 2 N rows, rows i and N + i are image i
  // (guided and not) and share what is decided.
  int rows_per_image = 1;

  [[nodiscard]] int units() const { return 2 * blocks; }
};

// A summand of what a reused branch gives: the value computed in an earlier evaluation.
struct RecallTerm {
  int evaluation = 0;
  float weight = 1;

  friend bool operator==(const RecallTerm&, const RecallTerm&) = default;
};

// One bit for each evaluation and unit: computed, or reused, which gives the value computed last or
// what recall_by() said. An evaluation is a cache step when the policy was free to reuse in it,
// whether it did or not. Evaluations and units are 0-based; the queries do not check them.
class CachePlan {
 public:
  CachePlan() = default;
  // Everything computed, no cache step. Throws InputError unless both are > 0.
  CachePlan(int evaluations, int units);

  [[nodiscard]] int evaluations() const { return evaluations_; }
  [[nodiscard]] int units() const { return units_; }
  [[nodiscard]] bool computes(int evaluation, int unit) const {
    return !reuse_[at(evaluation, unit)];
  }
  [[nodiscard]] bool cache_step(int evaluation) const {
    return cache_step_[static_cast<std::size_t>(evaluation)] != 0;
  }
  // Throws InputError outside the plan.
  void mark_cache_step(int evaluation);
  // Marks the evaluation as a cache step, too. Throws InputError outside the plan, and in the first
  // evaluation, where nothing is stored yet.
  void reuse(int evaluation, int unit);

  // Where an evaluation of `shape` starts anew, everything is computed, and it is no cache step:
  // for a plan whose maker does not look at that. Throws InputError when shape has another number
  // of evaluations; Error after recall_by() with a shape that said otherwise.
  void start_anew(const RunShape& shape);

  // Reused branches give what `recall` makes of the values computed before: in the evaluations of
  // `shape`, which are the plan's. For after the last reuse(), which goes back to the latest value.
  // Does start_anew(), too.
  // Throws InputError when shape has another number of evaluations, and when the recall does not
  // fit the run; Error for a recall that does not give a weight for each value.
  void recall_by(const Recall& recall, const RunShape& shape);

  // What a reused branch gives, latest value first, no weight 0; empty where it is computed.
  [[nodiscard]] std::vector<RecallTerm> terms(int evaluation, int unit) const;
  // The last evaluation that reads the value computed here; -1: none does, it need not be stored.
  [[nodiscard]] int last_reader(int evaluation, int unit) const;
  [[nodiscard]] bool keeps(int evaluation, int unit) const {
    return last_reader(evaluation, unit) >= 0;
  }

  [[nodiscard]] int computed() const;
  [[nodiscard]] int reused() const;
  [[nodiscard]] int cache_step_branches() const;  // units * number of cache steps
  // The largest number of branch outputs stored at the same time, when each is stored as it is
  // computed and dropped after its last read; or what hold_at_most() said.
  [[nodiscard]] int peak_stored() const;
  // For policies that do not store every reused unit's own value, but one tensor of that size for
  // each of some ranges of blocks: they hold so many at a time, and with a forecast at most as many
  // for each range as it looks back on. What terms() and last_reader() then say is no longer about
  // what is stored. Goes back to the latest value. Throws InputError for less than 0.
  void hold_at_most(int tensors, int ranges);

  friend bool operator==(const CachePlan&, const CachePlan&) = default;

 private:
  [[nodiscard]] std::size_t at(int evaluation, int unit) const {
    return static_cast<std::size_t>(evaluation) * static_cast<std::size_t>(units_) +
           static_cast<std::size_t>(unit);
  }
  [[nodiscard]] int last_computed(int before, int unit) const;
  void forget_recall();
  void check_evaluations(const RunShape& shape) const;
  // Fills in one unit's terms and readers; whether they are the latest value throughout.
  bool recall_unit(const Recall& recall, const RunShape& shape, int unit);
  int evaluations_ = 0;
  int units_ = 0;
  std::optional<int> held_;                     // unset: each reused unit has tensors of its own
  int ranges_ = 0;                              // where held_ is set
  int depth_ = 1;                               // of the recall, where held_ is set
  std::vector<std::uint8_t> reuse_;             // evaluations * units
  std::vector<std::uint8_t> cache_step_;        // evaluations
  std::vector<std::vector<RecallTerm>> terms_;  // like reuse_; empty: the latest value everywhere
  std::vector<int> last_readers_;               // like reuse_; where there are terms_
};

}  // namespace l2c
