#include "l2c/core/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace l2c {

namespace {

// How many bytes the letter takes that `text` begins with; 0: they are no UTF-8 (RFC 3629).
std::size_t letter_bytes(std::string_view text) {
  const auto byte = [text](std::size_t at) -> unsigned {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Longer than needed, half of a pair of UTF-16, beyond U+10FFFF.
  const unsigned second = byte(1);
  const bool refused = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                       (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return refused ? 0 : size;
}

// C0, DEL and C1: terminals act on them instead of showing them.
bool is_control(std::string_view letter) {
  const auto last = static_cast<unsigned char>(letter.back());
  return letter.size() == 1 ? last < ' ' || last == 0x7f : letter[0] == '\xc2' && last < 0xa0;
}

std::string harmless(std::string_view text, std::string_view kept) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = letter_bytes(text);
    const auto letter = text.substr(0, std::max<std::size_t>(size, 1));
    const bool shows = size > 0 && (!is_control(letter) || kept.find(letter) != kept.npos);
    shown += shows ? letter : "?";
    text.remove_prefix(letter.size());
  }
  return shown;
}

// At most `longest` bytes, with no letter cut in two.
std::string_view beginning(std::string_view text, std::size_t longest) {
  if (text.size() <= longest) return text;
  constexpr std::size_t most = 3;  // bytes that go on with a letter
  std::size_t end = longest;
  while (end > 0 && longest - end < most && (text[end] & 0xc0) == 0x80) --end;
  return text.substr(0, (text[end] & 0xc0) == 0x80 ? longest : end);
}

}  // namespace

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
  std::string shown = harmless(beginning(text, longest), "");
  if (text.size() > longest) shown += "...";
  return shown;
}

std::string printable(std::string_view text) { return harmless(text, "\n\t"); }

std::string bytes_text(double bytes) { return with_prefix(bytes, "B"); }

}  // namespace l2c
