#include "l2c/io/png.h"

#include <fmt/format.h>
#include <png.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "image_decoders.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "png_chunks.h"

namespace l2c::io {

namespace {

// Enough for any grid of samples; keeps a hostile file from asking for more memory than that.
constexpr auto kMostPixels = static_cast<std::uint64_t>(most_png_pixels);

// libpng's simplified interface: errors come back as values, no longjmp through C++ frames.
class Image {
 public:
  Image() { image_.version = PNG_IMAGE_VERSION; }
  ~Image() { png_image_free(&image_); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  png_image* operator->() { return &image_; }
  png_image* get() { return &image_; }

 private:
  png_image image_{};
};

// `where`: " 'file'", or empty.
void check_bitmap(const std::string& where, const Bitmap& bitmap) {
  const auto fail = [&](const std::string& what) {
    throw InputError(fmt::format("cannot write{}: {}", where, what));
  };
  if (bitmap.channels != 1 && bitmap.channels != 3) {
    fail(fmt::format("an image has 1 or 3 channels, not {}", bitmap.channels));
  }
  if (bitmap.width < 1 || bitmap.height < 1) {
    fail(fmt::format("an image of {} x {} pixels", bitmap.width, bitmap.height));
  }
  const auto pixels =
      static_cast<std::uint64_t>(bitmap.width) * static_cast<std::uint64_t>(bitmap.height);
  if (pixels > kMostPixels) {
    fail(fmt::format("{} x {} pixels are too many, {} are the most; write fewer images",
                     bitmap.width, bitmap.height, kMostPixels));
  }
  const auto expected = pixels * static_cast<std::uint64_t>(bitmap.channels);
  if (bitmap.pixels.size() != expected) {
    fail(fmt::format("{} x {} x {} needs {} values, {} were given", bitmap.height, bitmap.width,
                     bitmap.channels, expected, bitmap.pixels.size()));
  }
}

std::vector<std::uint8_t> encoded(const std::string& where, const Bitmap& bitmap) {
  check_bitmap(where, bitmap);
  Image image;
  image->width = static_cast<png_uint_32>(bitmap.width);
  image->height = static_cast<png_uint_32>(bitmap.height);
  image->format = bitmap.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(*image.get());
  std::vector<std::uint8_t> bytes(size);
  if (png_image_write_to_memory(image.get(), bytes.data(), &size, 0, bitmap.pixels.data(), 0,
                                nullptr) == 0) {
    throw RunError(fmt::format("cannot write{}: libpng: {}", where, image->message));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

std::vector<std::uint8_t> encode_png(const Bitmap& bitmap) { return encoded("", bitmap); }

void write_png(const std::filesystem::path& path, const Bitmap& bitmap) {
  const auto bytes = encoded(fmt::format(" '{}'", path.string()), bitmap);
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

bool looks_like_png(std::span<const std::byte> bytes) noexcept {
  constexpr std::string_view mark = "\x89PNG\r\n\x1a\n";
  return bytes.size() >= mark.size() && std::memcmp(bytes.data(), mark.data(), mark.size()) == 0;
}

bool is_png(const std::filesystem::path& path) {
  try {
    return looks_like_png(MappedFile::open(path)->bytes());
  } catch (const Error&) {
    return false;
  }
}

namespace {

// Over white, in the file's own (gamma-encoded) values; takes the alpha channel away.
void put_on_white(std::vector<std::uint8_t>& pixels, std::size_t colours) {
  constexpr unsigned white = 255, half = 127;
  const std::size_t count = pixels.size() / (colours + 1);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* source = pixels.data() + i * (colours + 1);
    const unsigned alpha = source[colours];
    for (std::size_t c = 0; c < colours; ++c) {
      const unsigned mixed = (source[c] * alpha + white * (white - alpha) + half) / white;
      pixels[i * colours + c] = static_cast<std::uint8_t>(mixed);
    }
  }
  pixels.resize(count * colours);
}

// libpng takes the memory that a chunk asks for before it looks whether the file is that long. The
// chunks of the pixels it reads piece by piece, and nothing behind them.
void check_chunks_before_pixels(const std::filesystem::path& path,
                                std::span<const std::byte> bytes) {
  PngChunks chunks(path, bytes);
  while (const auto chunk = chunks.next()) {
    if (chunk->type == "IDAT") return;
  }
}

}  // namespace

Bitmap decode_png(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  Image image;
  const auto fail = [&](const std::string& what) {
    throw InputError(fmt::format("'{}' is no PNG that can be read: {}; replace it or take it away",
                                 path.string(), what));
  };
  if (bytes.empty()) fail("it is empty");
  if (looks_like_png(bytes)) check_chunks_before_pixels(path, bytes);
  if (png_image_begin_read_from_memory(image.get(), bytes.data(), bytes.size()) == 0) {
    fail(image->message);
  }
  if (std::uint64_t{image->width} * image->height > kMostPixels) {
    fail(fmt::format("{} x {} pixels are too many", image->width, image->height));
  }
  Bitmap bitmap{.width = static_cast<int>(image->width),
                .height = static_cast<int>(image->height),
                .channels = (image->format & PNG_FORMAT_FLAG_COLOR) != 0 ? 3 : 1,
                .pixels = {}};
  // 16-bit files that do not say how their values are encoded mean what 8-bit files mean.
  image->flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  const png_uint_32 alpha = image->format & PNG_FORMAT_FLAG_ALPHA;
  image->format = (bitmap.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB) | alpha;
  // No deflate stream grows by more: before the memory is taken.
  constexpr std::size_t most_growth = 1040;
  if (PNG_IMAGE_SIZE(*image.get()) / most_growth > bytes.size()) {
    fail(fmt::format("{} x {} pixels cannot be in its {} bytes", image->width, image->height,
                     bytes.size()));
  }
  bitmap.pixels.resize(PNG_IMAGE_SIZE(*image.get()));
  if (png_image_finish_read(image.get(), nullptr, bitmap.pixels.data(), 0, nullptr) == 0) {
    fail(image->message);
  }
  if (alpha != 0) put_on_white(bitmap.pixels, static_cast<std::size_t>(bitmap.channels));
  return bitmap;
}

Bitmap read_png(const std::filesystem::path& path) {
  return decode_png(path, MappedFile::open(path)->bytes());
}

}  // namespace l2c::io
