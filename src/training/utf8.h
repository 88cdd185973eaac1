// Text for JSON and the metadata of files, both of which are UTF-8.
#pragma once

#include <string>

namespace l2c {

// Bytes that are not UTF-8 (a path may hold any) become U+FFFD; other text stays as it is.
std::string valid_utf8(const std::string& text);

}  // namespace l2c
