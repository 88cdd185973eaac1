// Where a run keeps the values that its plan reads again. Plain data, no LibTorch header behind it.
#pragma once

#include <cstddef>
#include <vector>

#include "l2c/cache/plan.h"

namespace l2c {

// The numbered places of each unit: a value goes to the first one that is free, and frees it with
// its last read. A plan without forecasts needs one place a unit.
class PlanPlaces {
 public:
  struct Read {
    int place = 0;
    float weight = 1;
    bool last = false;  // nobody reads the value again

    friend bool operator==(const Read&, const Read&) = default;
  };

  explicit PlanPlaces(const CachePlan& plan);

  // Where the value computed here is kept; -1 when it is not, or nothing is computed.
  [[nodiscard]] int kept_at(int evaluation, int unit) const { return entry(evaluation, unit).kept; }
  // A place to which the value computed here may go whether anybody reads it or not; -1: none.
  [[nodiscard]] int may_go_to(int evaluation, int unit) const {
    return entry(evaluation, unit).open;
  }
  // What a reused branch reads, latest value first; empty where it is computed.
  [[nodiscard]] const std::vector<Read>& reads(int evaluation, int unit) const {
    return entry(evaluation, unit).reads;
  }
  // How many places the unit has; 0: it is never reused.
  [[nodiscard]] int of_unit(int unit) const { return places_[static_cast<std::size_t>(unit)]; }
  [[nodiscard]] int in_all() const;

 private:
  struct Entry {
    int kept = -1;
    int open = -1;
    std::vector<Read> reads;
  };
  void fill(const CachePlan& plan, int unit);
  [[nodiscard]] std::size_t at(int evaluation, int unit) const {
    return static_cast<std::size_t>(evaluation) * places_.size() + static_cast<std::size_t>(unit);
  }
  [[nodiscard]] const Entry& entry(int evaluation, int unit) const {
    return entries_[at(evaluation, unit)];
  }

  std::vector<int> places_;     // one a unit
  std::vector<Entry> entries_;  // evaluations * units
};

}  // namespace l2c
