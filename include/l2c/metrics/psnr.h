// How far two results are apart. Numbers in, numbers out.
#pragma once

#include <span>

namespace l2c {

struct Difference {
  double max_abs = 0;  // largest absolute difference
  double mean_square = 0;
  double psnr_db = 0;  // 10 log10(peak^2 / mean_square); infinite when all are equal
};

// Compares two equally long spans. peak > 0 is the range of the values (2 for pixels in [-1, 1]).
// Throws InputError for unlike lengths, no values, or peak <= 0.
Difference difference(std::span<const float> values, std::span<const float> reference, double peak);

}  // namespace l2c
