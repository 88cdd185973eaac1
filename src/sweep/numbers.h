// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "l2c/evaluation/evaluator.h"

namespace l2c {

// "66.1 MB" (powers of 1000).
std::string bytes_in_words(double bytes);
// "113 ms", "1.25 s".
std::string seconds_in_words(double seconds);
// "3.04 GFLOP".
std::string flops_in_words(double flops);
// "2.150 ± 0.031"; without a spread the mean alone.
std::string spread_in_words(const Spread& spread, int digits, double scale = 1);
// "+1.4 % ± 0.5".
std::string percent_in_words(const Spread& percent);
// "0, 1, 2".
std::string listed(const std::vector<std::uint64_t>& seeds);

}  // namespace l2c
