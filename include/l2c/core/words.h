// Numbers and foreign text as people read them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace l2c {

// Three digits with the prefix (of 1000, to P) that leaves at least 1, whole below 1000:
// "3.04 GFLOP", "950 B". value >= 0.
std::string with_prefix(double value, std::string_view unit);

// Foreign text for a message: control characters (C0, DEL, C1) and bytes that are no UTF-8 become
// '?', and all after the first `longest` bytes, or a few less, is "...".
std::string one_line(std::string_view text, std::size_t longest);

// Text of several lines for a terminal: the same, but line breaks and tabs stay, and all of it.
std::string printable(std::string_view text);

// "66.1 MB", "1.20 GB" (powers of 1000).
std::string bytes_text(double bytes);

}  // namespace l2c
