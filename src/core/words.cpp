#include "l2c/core/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace l2c {

std::string with_prefix(double value, std::string_view unit) {
  constexpr std::array prefixes{"", "k", "M", "G", "T", "P"};
  std::size_t power = 0;
  while (value >= 999.5 && power + 1 < prefixes.size()) {
    value /= 1000;
    ++power;
  }
  const int digits = power == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}{}", value, digits, prefixes[power], unit);
}

std::string one_line(std::string_view text, std::size_t longest) {
  std::string shown(text.substr(0, longest));
  std::ranges::replace_if(shown, [](char c) { return (c >= 0 && c < ' ') || c == 127; }, '?');
  if (text.size() > longest) shown += "...";
  return shown;
}

std::string bytes_text(double bytes) { return with_prefix(bytes, "B"); }

}  // namespace l2c
