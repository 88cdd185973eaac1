// What JSON text may be read at all.
#pragma once

#include <cstddef>
#include <string_view>

namespace l2c::io {

// Parsed JSON takes up to forty times the memory of its text, and deeper nesting more than that.
inline constexpr std::size_t most_json_bytes = std::size_t{1} << 20;
inline constexpr int most_json_levels = 16;

// Throws InputError, beginning with `where`, for text longer than most_json_bytes or nested deeper
// than most_json_levels. Call it before parsing text that somebody else wrote. Looks at brackets
// outside of strings only: other mistakes are left to the parser. Thread-safe.
void check_json_text(std::string_view text, std::string_view where);

}  // namespace l2c::io
