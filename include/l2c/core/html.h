// Texts and bytes inside HTML pages. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace l2c {

// As text or as the value of an attribute in quotes: & < > " ' become entities, and bytes that XML
// does not allow a '?'. What is not ASCII is left as it is.
std::string escaped_html(std::string_view text);

// RFC 4648, section 4, with padding.
std::string base64(std::span<const std::uint8_t> bytes);

}  // namespace l2c
