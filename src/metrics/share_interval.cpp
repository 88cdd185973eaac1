#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "l2c/core/error.h"
#include "l2c/metrics/distribution.h"

namespace l2c {

// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
Interval share_interval(std::int64_t successes, std::int64_t trials) {
  if (trials < 1 || successes < 0 || successes > trials) {
    throw InputError(
        fmt::format("{} successes of {} trials is no share: give 0 to trials of at "
                    "least 1",
                    successes, trials));
  }
  constexpr double z = 1.959963984540054;  // the normal distribution's 97.5 % quantile
  const auto n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n;
  const double scale = 1 / (1 + z * z / n);
  const double centre = scale * (share + z * z / (2 * n));
  const double half = scale * z * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  // At the ends the interval touches the share itself; rounding must not move it past.
  return {.value = share,
          .low = successes == 0 ? 0 : std::min(centre - half, share),
          .high = successes == trials ? 1 : std::max(centre + half, share)};
}

}  // namespace l2c
