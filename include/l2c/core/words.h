// Numbers as people read them.
#pragma once

#include <string>
#include <string_view>

namespace l2c {

// Three digits with the prefix (of 1000, to P) that leaves at least 1, whole below 1000:
// "3.04 GFLOP", "950 B". value >= 0.
std::string with_prefix(double value, std::string_view unit);

// "66.1 MB", "1.20 GB" (powers of 1000).
std::string bytes_text(double bytes);

}  // namespace l2c
