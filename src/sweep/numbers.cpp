#include "numbers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace l2c {

std::string seconds_in_words(double seconds) {
  const bool small = seconds < 0.9995;
  const double value = small ? 1000 * seconds : seconds;
  const int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", value, digits, small ? "ms" : "s");
}

std::string spread_in_words(const Spread& spread, int digits, double scale) {
  if (std::isnan(spread.mean)) return "–";
  const auto mean = fmt::format("{:.{}f}", scale * spread.mean, digits);
  if (!spread.deviation) return mean;
  return fmt::format("{} ± {:.{}f}", mean, scale * *spread.deviation, digits);
}

std::string percent_in_words(const Spread& percent) {
  // No "-0.0 %".
  const double mean = std::abs(percent.mean) < 0.05 ? 0 : percent.mean;
  const auto text = fmt::format("{:+.1f} %", mean);
  if (!percent.deviation) return text;
  return fmt::format("{} ± {:.1f}", text, *percent.deviation);
}

std::string listed(const std::vector<std::uint64_t>& seeds) {
  return fmt::format("{}", fmt::join(seeds, ", "));
}

}  // namespace l2c
