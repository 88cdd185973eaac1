// Words on bitmaps.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "l2c/io/png.h"

namespace l2c {

using Colour = std::array<std::uint8_t, 3>;

inline constexpr int text_height = 20;  // of a line, in pixels; capitals take 14

int text_width(const std::string& text);

// From its upper left corner, as far as the bitmap (RGB) goes. What is not ASCII becomes '?'.
void draw_text(io::Bitmap& bitmap, int left, int top, const std::string& text,
               const Colour& colour);

// As far as the bitmap goes.
void fill(io::Bitmap& bitmap, int left, int top, int width, int height, const Colour& colour);

}  // namespace l2c
