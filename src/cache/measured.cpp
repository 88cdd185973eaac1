#include "measured.h"

#include <fmt/format.h>

#include <algorithm>

#include "l2c/core/error.h"

namespace l2c {

void check_measurable(const std::string& what, const RunShape& shape) {
  const auto& all = shape.evaluations;
  if (std::none_of(all.begin(), all.end(), [](const Evaluation& e) { return e.starts_anew; })) {
    return;
  }
  throw InputError(fmt::format(
      "{} are measured on runs that are guided throughout or not at all: give no guidance range",
      what));
}

void check_measured(const std::string& what, int evaluations, int units, const RunShape& shape) {
  const auto run = static_cast<int>(shape.evaluations.size());
  if (evaluations == run && units == shape.units()) return;
  throw InputError(
      fmt::format("{} are for {} evaluations of {} units, the run has {} of {}: measure again for "
                  "this run (l2c calibrate)",
                  what, evaluations, units, run, shape.units()));
}

}  // namespace l2c
