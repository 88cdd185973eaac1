#include "l2c/io/json_text.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c::io {

void check_json_text(std::string_view text, std::string_view where) {
  if (text.size() > most_json_bytes) {
    throw InputError(
        fmt::format("{}: {} bytes of JSON are too many, {} are the most; check that "
                    "it is the right file",
                    where, text.size(), most_json_bytes));
  }
  int level = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (in_string) {
      if (letter == '\\') ++i;
      in_string = letter != '"';
    } else if (letter == '"') {
      in_string = true;
    } else if (letter == '[' || letter == '{') {
      if (++level > most_json_levels) {
        throw InputError(
            fmt::format("{}: JSON nested more than {} deep; check that it is the "
                        "right file",
                        where, most_json_levels));
      }
    } else if (letter == ']' || letter == '}') {
      --level;
    }
  }
}

}  // namespace l2c::io
