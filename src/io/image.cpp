#include "l2c/io/image.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>

#include "image_decoders.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"

namespace l2c::io {

namespace {

// Weights of 2^16 in all.
constexpr unsigned kRed = 19595, kGreen = 38470, kBlue = 7471, kHalf = 1U << 15, kShift = 16;

}  // namespace

Bitmap read_image(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  if (looks_like_png(file->bytes())) return decode_png(path, file->bytes());
  if (looks_like_jpeg(file->bytes())) return decode_jpeg(path, file->bytes());
  throw InputError(
      fmt::format("'{}' is neither a PNG nor a JPEG file ({} bytes that begin otherwise); "
                  "convert it or take it away",
                  path.string(), file->bytes().size()));
}

Bitmap with_channels(const Bitmap& bitmap, int channels) {
  if (channels != 1 && channels != 3) {
    throw InputError(fmt::format("an image has 1 or 3 channels, not {}", channels));
  }
  if (bitmap.channels == channels) return bitmap;
  Bitmap result{.width = bitmap.width, .height = bitmap.height, .channels = channels, .pixels = {}};
  const std::size_t count = bitmap.pixels.size() / static_cast<std::size_t>(bitmap.channels);
  result.pixels.reserve(count * static_cast<std::size_t>(channels));
  for (std::size_t i = 0; i < count; ++i) {
    if (channels == 3) {
      result.pixels.insert(result.pixels.end(), 3, bitmap.pixels[i]);
    } else {
      const std::uint8_t* rgb = bitmap.pixels.data() + 3 * i;
      const unsigned luma = rgb[0] * kRed + rgb[1] * kGreen + rgb[2] * kBlue + kHalf;
      result.pixels.push_back(static_cast<std::uint8_t>(luma >> kShift));
    }
  }
  return result;
}

}  // namespace l2c::io
