#include "bitmap_text.h"

#include <stb_easy_font.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace l2c {

namespace {

constexpr int scale = 2;  // the font's own pixels are too small to read

struct Vertex {  // as stb_easy_font lays it out
  float x, y, z;
  unsigned char colour[4];
};

struct Quad {
  Vertex corners[4];  // upper left first, lower right third
};

// The font's table has nothing outside of ASCII.
std::string ascii(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

}  // namespace

int text_width(const std::string& text) {
  std::string plain = ascii(text);
  return scale * stb_easy_font_width(plain.data());
}

void fill(io::Bitmap& bitmap, int left, int top, int width, int height, const Colour& colour) {
  const int right = std::min(left + width, bitmap.width);
  const int bottom = std::min(top + height, bitmap.height);
  for (int row = std::max(top, 0); row < bottom; ++row) {
    for (int column = std::max(left, 0); column < right; ++column) {
      std::copy(colour.begin(), colour.end(), bitmap.at(row, column));
    }
  }
}

void draw_text(io::Bitmap& bitmap, int left, int top, const std::string& text,
               const Colour& colour) {
  constexpr std::size_t most_quads = 32;  // of a letter
  std::string plain = ascii(text);
  std::vector<Quad> quads(most_quads * (plain.size() + 1));
  const int bytes = static_cast<int>(quads.size() * sizeof(Quad));
  const int count = stb_easy_font_print(0, 0, plain.data(), nullptr, quads.data(), bytes);
  for (int i = 0; i < count; ++i) {
    const Vertex& from = quads[static_cast<std::size_t>(i)].corners[0];
    const Vertex& to = quads[static_cast<std::size_t>(i)].corners[2];
    const auto pixels = [](float units) { return static_cast<int>(std::lround(units * scale)); };
    fill(bitmap, left + pixels(from.x), top + pixels(from.y), pixels(to.x - from.x),
         pixels(to.y - from.y), colour);
  }
}

}  // namespace l2c
