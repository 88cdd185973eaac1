#include "l2c/metrics/psnr.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "l2c/core/error.h"

namespace l2c {

Difference difference(std::span<const float> values, std::span<const float> reference,
                      double peak) {
  if (values.size() != reference.size() || values.empty()) {
    throw InputError(
        fmt::format("cannot compare {} values with {}: give two equally long, non-empty spans",
                    values.size(), reference.size()));
  }
  if (!(peak > 0)) throw InputError(fmt::format("the peak must be greater than 0, not {}", peak));
  Difference result;
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double d = double{values[i]} - double{reference[i]};
    sum += d * d;
    result.max_abs = std::max(result.max_abs, std::abs(d));
  }
  result.mean_square = sum / static_cast<double>(values.size());
  result.psnr_db = result.mean_square > 0 ? 10 * std::log10(peak * peak / result.mean_square)
                                          : std::numeric_limits<double>::infinity();
  return result;
}

}  // namespace l2c
