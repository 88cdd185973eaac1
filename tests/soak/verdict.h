// What a soak must keep, and whether it did.
#pragma once

#include <string>
#include <vector>

#include "soak.h"

namespace l2c::soak {

struct Criterion {
  std::string name;
  double value = 0;
  double limit = 0;  // the most that `value` may be
  std::string unit;
  [[nodiscard]] bool kept() const { return value <= limit; }
};

struct Growth {
  std::vector<double> median_resident;  // bytes, of each tenth's runs
  double slope = 0;                     // of residents after the first tenth, bytes a run
};

Growth growth_of(const Findings& findings);

// Results, ends, memory, threads and files. Memory is judged from the second tenth on: the first
// one warms up. Of fewer than 500 runs resident memory is judged by its peak alone, since a tenth
// of them warms up nothing; what malloc has handed out is always. In a build with AddressSanitizer,
// which keeps freed memory, none of it is judged.
std::vector<Criterion> judge(const Findings& findings, const Options& options);

}  // namespace l2c::soak
