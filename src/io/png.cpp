#include "l2c/io/png.h"

#include <fmt/format.h>
#include <png.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/io/file.h"

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

void check_bitmap(const std::filesystem::path& path, const Bitmap& bitmap) {
  const auto fail = [&](const std::string& what) {
    throw InputError(fmt::format("cannot write '{}': {}", path.string(), what));
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

}  // namespace

void write_png(const std::filesystem::path& path, const Bitmap& bitmap) {
  check_bitmap(path, bitmap);
  AtomicFile file(path);
  Image image;
  image->width = static_cast<png_uint_32>(bitmap.width);
  image->height = static_cast<png_uint_32>(bitmap.height);
  image->format = bitmap.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(*image.get());
  std::vector<std::uint8_t> encoded(size);
  if (png_image_write_to_memory(image.get(), encoded.data(), &size, 0, bitmap.pixels.data(), 0,
                                nullptr) == 0) {
    throw RunError(fmt::format("cannot write '{}': libpng: {}", path.string(), image->message));
  }
  file.write(encoded.data(), size);
  file.commit();
}

Bitmap read_png(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  Image image;
  const auto fail = [&](const std::string& what) {
    throw InputError(
        fmt::format("'{}' is no PNG that can be read: {}; an 8-bit gray or RGB PNG is "
                    "expected",
                    path.string(), what));
  };
  if (file->bytes().empty()) fail("it is empty");
  if (png_image_begin_read_from_memory(image.get(), file->bytes().data(), file->bytes().size()) ==
      0) {
    fail(image->message);
  }
  constexpr png_uint_32 kUnread =
      PNG_FORMAT_FLAG_ALPHA | PNG_FORMAT_FLAG_LINEAR | PNG_FORMAT_FLAG_COLORMAP;
  if ((image->format & kUnread) != 0) fail("it has an alpha channel, 16 bits or a palette");
  if (std::uint64_t{image->width} * image->height > kMostPixels) {
    fail(fmt::format("{} x {} pixels are too many", image->width, image->height));
  }
  Bitmap bitmap{.width = static_cast<int>(image->width),
                .height = static_cast<int>(image->height),
                .channels = (image->format & PNG_FORMAT_FLAG_COLOR) != 0 ? 3 : 1,
                .pixels = {}};
  image->format = bitmap.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  bitmap.pixels.resize(PNG_IMAGE_SIZE(*image.get()));
  if (png_image_finish_read(image.get(), nullptr, bitmap.pixels.data(), 0, nullptr) == 0) {
    fail(image->message);
  }
  return bitmap;
}

}  // namespace l2c::io
