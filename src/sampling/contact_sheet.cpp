#include "l2c/sampling/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>

#include "l2c/core/error.h"

namespace l2c {

namespace {

constexpr int margin = 2;
constexpr int wide_margin = 8;
constexpr std::uint8_t background = 255;

io::Bitmap blank(int width, int height, int channels) {
  io::Bitmap sheet{.width = width, .height = height, .channels = channels, .pixels = {}};
  sheet.pixels.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                          static_cast<std::size_t>(channels),
                      background);
  return sheet;
}

// Gray pixels are repeated when the sheet is RGB.
void paste(io::Bitmap& sheet, io::Bitmap picture, int top, int left) {
  for (int row = 0; row < picture.height; ++row) {
    for (int column = 0; column < picture.width; ++column) {
      const std::uint8_t* from = picture.at(row, column);
      std::uint8_t* to = sheet.at(top + row, left + column);
      for (int c = 0; c < sheet.channels; ++c) to[c] = from[picture.channels == 1 ? 0 : c];
    }
  }
}

}  // namespace

io::Bitmap contact_sheet(const std::vector<Image>& images, int columns) {
  if (images.empty()) throw InputError("a contact sheet needs at least one image");
  if (columns < 1) throw InputError(fmt::format("{} columns: give at least 1", columns));
  const io::Bitmap& first = images.front().bitmap;
  int channels = 1;
  for (const Image& image : images) {
    if (image.bitmap.width != first.width || image.bitmap.height != first.height) {
      throw InputError("all images of a contact sheet must have one size");
    }
    channels = std::max(channels, image.bitmap.channels);
  }
  const int count = static_cast<int>(images.size());
  columns = std::min(columns, count);
  const int rows = (count + columns - 1) / columns;
  const int cell_width = first.width + margin;
  const int cell_height = first.height + margin;
  auto sheet = blank(columns * cell_width + margin, rows * cell_height + margin, channels);
  for (int i = 0; i < count; ++i) {
    paste(sheet, images[static_cast<std::size_t>(i)].bitmap, margin + i / columns * cell_height,
          margin + i % columns * cell_width);
  }
  return sheet;
}

io::Bitmap stack(const io::Bitmap& above, const io::Bitmap& below) {
  if (above.width != below.width || above.channels != below.channels) {
    throw InputError(fmt::format("cannot stack a {} x {} picture on a {} x {} one", above.width,
                                 above.channels, below.width, below.channels));
  }
  auto sheet = blank(above.width, above.height + wide_margin + below.height, above.channels);
  paste(sheet, above, 0, 0);
  paste(sheet, below, above.height + wide_margin, 0);
  return sheet;
}

}  // namespace l2c
