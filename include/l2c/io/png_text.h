// Text that goes with a PNG file's picture: its tEXt and iTXt chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "l2c/io/png.h"

namespace l2c::io {

// The longest text that is written or read.
inline constexpr std::size_t most_png_text = std::size_t{1} << 20;

// The bytes of the PNG file `png` (as encode_png makes them) with a tEXt chunk before its end.
// `keyword`: 1 to 79 letters, digits and spaces, with no space at either end. `text`: ASCII without
// zero bytes, at most most_png_text. Throws InputError. Thread-safe.
std::vector<std::uint8_t> with_png_text(std::span<const std::uint8_t> png, std::string_view keyword,
                                        std::string_view text);

// Writes aside and renames. Throws like write_png() and with_png_text().
void write_png_with_text(const std::filesystem::path& path, const Bitmap& bitmap,
                         std::string_view keyword, std::string_view text);

// The text under that keyword, of a tEXt chunk or an uncompressed iTXt chunk; nullopt: the file has
// none. Somebody else may have written it: check it before use. Reads no pixels. Throws InputError
// naming the file: no PNG, cut short, a text chunk that is damaged, compressed, longer than
// most_png_text, or there twice. Thread-safe.
std::optional<std::string> read_png_text(const std::filesystem::path& path,
                                         std::string_view keyword);

}  // namespace l2c::io
