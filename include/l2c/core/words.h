// Numbers as people read them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace l2c {

// Three digits with the prefix (of 1000, to P) that leaves at least 1, whole below 1000:
// "3.04 GFLOP", "950 B". value >= 0.
std::string with_prefix(double value, std::string_view unit);

// Foreign text for a message: control characters become '?', and all after the first `longest`
// bytes is "...".
std::string one_line(std::string_view text, std::size_t longest);

// "66.1 MB", "1.20 GB" (powers of 1000).
std::string bytes_text(double bytes);

}  // namespace l2c
