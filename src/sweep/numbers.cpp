#include "numbers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>

namespace l2c {

namespace {

// Three digits with the largest prefix that leaves at least 1.
std::string with_prefix(double value, const char* unit) {
  constexpr std::array prefixes{"", "k", "M", "G", "T", "P"};
  std::size_t power = 0;
  while (std::abs(value) >= 999.5 && power + 1 < prefixes.size()) {
    value /= 1000;
    ++power;
  }
  const int digits = power == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}{}", value, digits, prefixes[power], unit);
}

}  // namespace

std::string bytes_in_words(double bytes) { return with_prefix(bytes, "B"); }

std::string flops_in_words(double flops) { return with_prefix(flops, "FLOP"); }

std::string seconds_in_words(double seconds) {
  return seconds < 1 ? fmt::format("{:.3g} ms", 1000 * seconds) : fmt::format("{:.3g} s", seconds);
}

std::string spread_in_words(const Spread& spread, int digits, double scale) {
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
