// PNG files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace l2c::io {

// 8-bit pixels, row by row, channels interleaved.
struct Bitmap {
  int width = 0;
  int height = 0;
  int channels = 1;                  // 1 (gray) or 3 (RGB)
  std::vector<std::uint8_t> pixels;  // height * width * channels

  [[nodiscard]] std::uint8_t* at(int row, int column) {
    return pixels.data() + (static_cast<std::size_t>(row) * static_cast<std::size_t>(width) +
                            static_cast<std::size_t>(column)) *
                               static_cast<std::size_t>(channels);
  }
};

// The most pixels that an image file may have here.
inline constexpr std::int64_t most_png_pixels = std::int64_t{1} << 28;

// The bytes of a PNG file. Throws InputError (size and pixels disagree), RunError.
std::vector<std::uint8_t> encode_png(const Bitmap& bitmap);

// Writes aside and renames. Throws InputError (size and pixels disagree, bad path), RunError.
void write_png(const std::filesystem::path& path, const Bitmap& bitmap);

// Whether a file begins as a PNG does; false for one that cannot be read.
bool is_png(const std::filesystem::path& path);

// Reads a PNG as 8-bit gray or RGB: palettes become RGB, 16 bits are rounded to 8, what is
// transparent is laid over white. Throws InputError: no PNG, damaged, more than most_png_pixels.
Bitmap read_png(const std::filesystem::path& path);

}  // namespace l2c::io
