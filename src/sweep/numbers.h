// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "l2c/evaluation/evaluator.h"

namespace l2c {

// "113 ms", "1.25 s", "1234 s": three digits, or all of those before the point.
std::string seconds_in_words(double seconds);
// "2.150 ± 0.031"; without a spread the mean alone; "–" for what was not measured.
std::string spread_in_words(const Spread& spread, int digits, double scale = 1);
// "+1.4 % ± 0.5".
std::string percent_in_words(const Spread& percent);
// "0, 1, 2".
std::string listed(const std::vector<std::uint64_t>& seeds);

}  // namespace l2c
